//! Learning-rate schedules: the formulas by hand, the text and JSON forms, exact
//! resumption.

use proptest::prelude::*;
use serde_json::{Value, json};
use tilewright::optim::schedule::{LearningRate, RunLength, RunSchedule, Schedule};

fn schedule(name: &str, attrs: Value) -> Schedule {
    Schedule::from_attributes(name, &attrs).unwrap_or_else(|error| panic!("{error}"))
}

fn rates(schedule: &Schedule, base_lr: f64, steps: u64) -> Vec<f64> {
    (0..steps).map(|t| schedule.rate(base_lr, t)).collect()
}

#[track_caller]
fn assert_close(got: &[f64], want: &[f64]) {
    assert_eq!(got.len(), want.len());
    for (t, (got_t, want_t)) in got.iter().zip(want).enumerate() {
        let error = (got_t - want_t).abs();
        assert!(error <= 1e-14 * want_t.abs() + 1e-17, "at step {t} the rate is {got_t}, not {want_t}; all: {got:?}");
    }
}

#[track_caller]
fn assert_refused(name: &str, attrs: Value, message_parts: &[&str]) {
    let error = Schedule::from_attributes(name, &attrs).expect_err("must be refused");
    let message = error.to_string();
    for part in message_parts {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
}

#[test]
fn step_falls_at_every_multiple_of_step_size() {
    let s = schedule("step", json!({"step_size": 2}));
    assert_close(&rates(&s, 1.0, 6), &[1.0, 1.0, 0.1, 0.1, 0.01, 0.01]);
}

#[test]
fn multistep_counts_a_milestone_from_its_own_step_and_twice_if_given_twice() {
    let s = schedule("multistep", json!({"milestones": [3, 1, 3], "gamma": 0.5}));
    assert_close(&rates(&s, 8.0, 5), &[8.0, 4.0, 4.0, 1.0, 1.0]);
}

#[test]
fn exponential_inverse_and_inverse_sqrt_follow_their_formulas() {
    let s = schedule("exponential", json!({"gamma": 0.5}));
    assert_close(&rates(&s, 1.0, 4), &[1.0, 0.5, 0.25, 0.125]);
    let s = schedule("inverse", json!({"k": 0.5}));
    assert_close(&rates(&s, 3.0, 3), &[3.0, 2.0, 1.5]);
    let s = schedule("inverse_sqrt", json!({}));
    assert_close(&rates(&s, 6.0, 4)[3..], &[3.0]);
    assert_close(&rates(&schedule("constant", json!({})), 0.3, 2), &[0.3, 0.3]);
}

#[test]
fn cosine_reaches_eta_min_at_t_max_and_rises_again() {
    let s = schedule("cosine", json!({"T_max": 4, "eta_min": 1.0}));
    let half = std::f64::consts::FRAC_1_SQRT_2;
    let want = [3.0, 2.0 + half, 2.0, 2.0 - half, 1.0, 2.0 - half, 2.0, 2.0 + half, 3.0];
    assert_close(&rates(&s, 3.0, 9), &want);
}

#[test]
fn warm_restarts_begin_anew_after_each_period() {
    let s = schedule("cosine_warm_restarts", json!({"T_0": 2, "T_mult": 3}));
    let got = rates(&s, 2.0, 27);
    // Periods 2, 6, 18: restarts at 2, 8 and 26.
    for restart in [0, 2, 8, 26] {
        assert_eq!(got[restart], 2.0, "step {restart}");
    }
    assert_close(&[got[1], got[5], got[17]], &[1.0, 1.0, 1.0]);
    let equal_periods = schedule("cosine_warm_restarts", json!({"T_0": 2}));
    assert_close(&rates(&equal_periods, 2.0, 5), &[2.0, 1.0, 2.0, 1.0, 2.0]);
}

#[test]
fn linear_warmup_ends_at_the_base_rate_and_defaults_to_a_third_over_five() {
    let s = schedule("linear_warmup", json!({}));
    let want = [5.0, 7.0, 9.0, 11.0, 13.0, 15.0, 15.0].map(|n| n / 15.0);
    assert_close(&rates(&s, 1.0, 7), &want);
}

#[test]
fn linear_warmup_cosine_joins_at_the_base_rate() {
    let attrs = json!({"start_factor": 0.5, "warmup_steps": 2, "T_max": 2});
    let s = schedule("linear_warmup_cosine", attrs);
    assert_close(&rates(&s, 4.0, 5), &[2.0, 3.0, 4.0, 2.0, 0.0]);
    let attrs = json!({"start_factor": 0.5, "warmup_steps": 0, "T_max": 2});
    let without = schedule("linear_warmup_cosine", attrs);
    assert_close(&rates(&without, 4.0, 3), &[4.0, 2.0, 0.0]);
}

#[test]
fn polynomial_stays_at_zero_after_its_last_step() {
    let s = schedule("polynomial", json!({"total_iters": 4, "power": 2}));
    assert_close(&rates(&s, 16.0, 6), &[16.0, 9.0, 4.0, 1.0, 0.0, 0.0]);
}

#[test]
fn one_cycle_rises_falls_and_stays_at_its_last_rate() {
    // start 1, end 1/2; the first leg ends at 0.3 * 10 - 1 = 2, the second at 9.
    let attrs =
        json!({"anneal_strategy": "linear", "div_factor": 8, "final_div_factor": 2, "max_lr": 8, "total_steps": 10});
    let linear = schedule("one_cycle", attrs);
    let fall = |k: f64| 8.0 + (0.5 - 8.0) * k / 7.0;
    let want = [1.0, 4.5, 8.0, fall(1.0), fall(2.0), fall(3.0), fall(4.0), fall(5.0), fall(6.0), 0.5, 0.5];
    assert_close(&rates(&linear, 77.0, 11), &want);

    let cosine = schedule("one_cycle", json!({"max_lr": 25, "total_steps": 10}));
    let got = rates(&cosine, 77.0, 10);
    assert_close(&[got[0], got[1], got[2], got[9]], &[1.0, 13.0, 25.0, 1e-4]);
}

#[test]
fn one_cycle_of_three_phases_comes_back_to_its_first_rate() {
    // Legs end at 0.4 * 10 - 1 = 3, 2 * 0.4 * 10 - 2 = 6 and 9.
    let attrs = json!({"anneal_strategy": "linear", "pct_start": 0.4, "div_factor": 4, "final_div_factor": 1e3,
        "three_phase": true, "max_lr": 4, "total_steps": 10});
    let s = schedule("one_cycle", attrs);
    let end = 1e-3;
    let down = |k: f64| 1.0 + (end - 1.0) * k / 3.0;
    let want = [1.0, 2.0, 3.0, 4.0, 3.0, 2.0, 1.0, down(1.0), down(2.0), end];
    assert_close(&rates(&s, 77.0, 10), &want);
}

#[test]
fn one_cycle_has_a_rate_at_every_step_of_every_length() {
    for total_steps in 1..20 {
        for pct_start in [0.0, 0.05, 0.1, 0.3, 0.5, 0.9, 1.0] {
            for three_phase in [false, true] {
                let attrs = json!({"pct_start": pct_start, "three_phase": three_phase, "max_lr": 1, "total_steps": total_steps});
                let s = schedule("one_cycle", attrs);
                for rate in rates(&s, 0.0, total_steps + 2) {
                    let holds = (1e-6..=1.0 + 1e-12).contains(&rate);
                    assert!(holds, "{s}: {rate}");
                }
            }
        }
    }
}

#[test]
fn a_constant_factor_holds_for_its_steps_alone() {
    let s = schedule("constant_factor", json!({"factor": 0.25, "total_iters": 2}));
    assert_close(&rates(&s, 8.0, 4), &[2.0, 2.0, 8.0, 8.0]);
    assert_close(&rates(&schedule("constant_factor", json!({})), 3.0, 6), &[1.0, 1.0, 1.0, 1.0, 1.0, 3.0]);
}

#[test]
fn cyclic_goes_up_and_down_between_its_rates_in_three_modes() {
    let of = |more: Value| {
        let mut attrs = json!({"base_lr": 1, "max_lr": 5, "step_size_up": 2});
        attrs.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        rates(&schedule("cyclic", attrs), 77.0, 9)
    };
    assert_close(&of(json!({})), &[1.0, 3.0, 5.0, 3.0, 1.0, 3.0, 5.0, 3.0, 1.0]);
    assert_close(&of(json!({"step_size_down": 4})), &[1.0, 3.0, 5.0, 4.0, 3.0, 2.0, 1.0, 3.0, 5.0]);
    assert_close(&of(json!({"mode": "triangular2"})), &[1.0, 3.0, 5.0, 3.0, 1.0, 2.0, 3.0, 2.0, 1.0]);
    let attrs = json!({"mode": "exp_range", "gamma": 0.5});
    assert_close(&of(attrs), &[1.0, 2.0, 2.0, 1.25, 1.0, 1.0625, 1.0625, 1.015625, 1.0]);
}

#[test]
fn a_sequence_counts_each_schedule_from_its_milestone_and_may_hold_warm_ups_and_sequences() {
    let s: Schedule =
        "sequential:milestones=2,5/constant/step:step_size=2,gamma=0.5/exponential:gamma=0.5".parse().unwrap();
    let want = [8.0, 8.0, 8.0, 8.0, 4.0, 8.0, 4.0, 2.0];
    assert_close(&rates(&s, 8.0, 8), &want);
    let table = json!({"name": "sequential", "milestones": [2, 5], "schedules": [
        {"name": "constant"}, "step:step_size=2,gamma=0.5", {"name": "exponential", "gamma": 0.5}]});
    let of_json: Schedule = serde_json::from_value(table).unwrap();
    assert_eq!(of_json, s);
    let written = serde_json::to_value(&s).unwrap();
    assert_eq!(serde_json::from_value::<Schedule>(written).unwrap(), s);
    assert_eq!(s.to_string().parse::<Schedule>().unwrap(), s);

    let nested = "sequential:milestones=4/warmup:steps=2,start_factor=0/constant/sequential:milestones=1/constant/step:step_size=1";
    let nested: Schedule = nested.parse().unwrap();
    assert_close(&rates(&nested, 1.0, 7), &[0.0, 0.5, 1.0, 1.0, 1.0, 1.0, 0.1]);
    assert_eq!(nested.to_string().parse::<Schedule>().unwrap(), nested);
    let warmed: Schedule =
        "warmup:steps=2,start_factor=0.5/sequential:milestones=1/constant/step:step_size=1".parse().unwrap();
    assert_close(&rates(&warmed, 1.0, 5), &[0.5, 0.75, 1.0, 1.0, 0.1]);
    assert_eq!((warmed.warmup(), nested.warmup()), (2, 2));
}

#[test]
fn a_sequence_that_does_not_fit_its_milestones_is_refused() {
    let part = |name: &str| json!({"name": name});
    let given =
        |milestones: Value, parts: usize| json!({"milestones": milestones, "schedules": vec![part("constant"); parts]});
    assert_refused("sequential", given(json!([3, 5]), 2), &["has 2 schedules", "must have 3"]);
    assert_refused("sequential", given(json!([3]), 3), &["has 3 schedules", "must have 2"]);
    assert_refused("sequential", given(json!([5, 3]), 3), &["`milestones` is [5, 3]", "above the one before"]);
    assert_refused("sequential", given(json!([0]), 2), &["`milestones` is [0]", "above 0"]);
    assert_refused("sequential", given(json!([]), 1), &["`milestones` is []"]);
    assert_refused("sequential", json!({"milestones": [3]}), &["needs", "`schedules`"]);
    // What one sequence lacks is not taken from what another has too many.
    let lacking = json!({"name": "sequential", "milestones": [2], "schedules": ["constant"]});
    let attrs = json!({"milestones": [3], "schedules": [lacking, "constant", "constant"]});
    assert_refused("sequential", attrs, &["has 3 schedules", "must have 2"]);
    for (text, part) in [
        ("sequential:milestones=3,5/constant/constant", "1 more must follow"),
        ("sequential:milestones=3", "2 more must follow"),
        ("sequential:milestones=3/constant/warmup:steps=1", "needs the attribute `then`"),
        ("sequential:milestones=3/constant/constant/constant", "no schedule `constant/constant`"),
        ("sequential/constant", "needs the attribute `milestones`"),
        ("sequential:milestones=3/constant/plateau", "`plateau` follows a metric"),
        ("sequential:milestones=3/warmup:steps=1/plateau/constant", "`plateau` follows a metric"),
        ("cyclic:base_lr=0.1,max_lr=1,step_size_up=0", "`step_size_up` is 0"),
    ] {
        let message = text.parse::<Schedule>().unwrap_err().to_string();
        assert!(message.contains(part), "{text}: `{part}` is not in: {message}");
    }
}

#[test]
fn plateau_falls_only_after_patience_and_waits_out_its_cooldown() {
    let attrs = json!({"factor": 0.5, "patience": 1, "cooldown": 2, "min_lr": 0.2});
    let mut lr = LearningRate::new(schedule("plateau", attrs), 1.0).unwrap();
    // Better, bad 1, bad 2 > patience: 0.5. Two observations of cooldown. bad 1, bad 2: 0.25.
    // Two of cooldown. bad 1, bad 2: 0.125 is held up at min_lr.
    let mut got = Vec::new();
    for step in 0..12 {
        got.push(lr.rate(step));
        lr.observe(3.0);
    }
    let want = [1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.25, 0.2];
    assert_close(&got, &want);
}

#[test]
fn plateau_holds_the_metric_against_its_threshold() {
    let plateau = |mode, threshold_mode| {
        let attrs =
            json!({"mode": mode, "threshold_mode": threshold_mode, "threshold": 0.25, "patience": 0, "factor": 0.5});
        schedule("plateau", attrs)
    };
    // Per case the best, a metric just short of the threshold, and one just past it.
    let cases = [
        ("min", "rel", [8.0, 6.0, 5.99]),
        ("max", "rel", [8.0, 10.0, 10.01]),
        ("min", "abs", [8.0, 7.75, 7.74]),
        ("max", "abs", [8.0, 8.25, 8.26]),
    ];
    for (mode, threshold_mode, [best, short, past]) in cases {
        let mut lr = LearningRate::new(plateau(mode, threshold_mode), 1.0).unwrap();
        assert!(!lr.observe(best), "the first value is always better");
        assert!(!lr.observe(past), "{mode} {threshold_mode}");
        let mut lr = LearningRate::new(plateau(mode, threshold_mode), 1.0).unwrap();
        lr.observe(best);
        assert!(lr.observe(short), "{mode} {threshold_mode}");
        assert_eq!(lr.rate(2), 0.5);
    }
}

#[test]
fn plateau_makes_no_reduction_within_eps_and_takes_nan_for_bad() {
    let attrs = json!({"factor": 0.5, "patience": 0, "eps": 0.5});
    let mut lr = LearningRate::new(schedule("plateau", attrs), 1.0).unwrap();
    assert!(!lr.observe(f64::NAN));
    assert_eq!(lr.rate(1), 1.0, "1 - 0.5 is not more than eps");
    let attrs = json!({"factor": 0.5, "patience": 0});
    let mut lr = LearningRate::new(schedule("plateau", attrs), 1.0).unwrap();
    assert!(lr.observe(f64::NAN));
    assert!(!lr.observe(2.0), "the first number is better than no number");
    assert!(lr.observe(f64::INFINITY));
    assert_eq!(lr.rate(3), 0.25);
}

#[test]
fn a_warmup_climbs_to_the_rate_that_its_schedule_begins_with() {
    let s: Schedule = "warmup:steps=4,start_factor=0/step:step_size=2,gamma=0.5".parse().unwrap();
    let want = [0.0, 1.0, 2.0, 3.0, 4.0, 4.0, 2.0, 2.0, 1.0];
    assert_close(&rates(&s, 4.0, 9), &want);

    let cycle = "warmup:steps=2,start_factor=0.5/one_cycle:max_lr=25,total_steps=10";
    let got = rates(&cycle.parse().unwrap(), 77.0, 5);
    assert_close(&got, &[0.5, 0.75, 1.0, 13.0, 25.0]);

    let composed =
        schedule("warmup", json!({"steps": 7, "start_factor": 0.1, "then": {"name": "cosine", "T_max": 30}}));
    let attrs = json!({"start_factor": 0.1, "warmup_steps": 7, "T_max": 30});
    let single = schedule("linear_warmup_cosine", attrs);
    assert_close(&rates(&composed, 0.1, 36), &rates(&single, 0.1, 36));
}

#[test]
fn a_plateau_behind_a_warmup_still_hears_the_metric() {
    let s = "warmup:steps=2,start_factor=0.5/plateau:patience=0,factor=0.5";
    let mut lr = LearningRate::new(s.parse().unwrap(), 1.0).unwrap();
    assert!(lr.needs_metric());
    assert_eq!([lr.rate(0), lr.rate(1), lr.rate(2)], [0.5, 0.75, 1.0]);
    lr.observe(1.0);
    assert!(lr.observe(1.0));
    assert_eq!([lr.rate(1), lr.rate(2)], [0.375, 0.5]);
}

#[test]
fn a_schedule_without_memory_ignores_metrics() {
    let mut lr = LearningRate::new(schedule("constant", json!({})), 0.1).unwrap();
    assert!(!lr.needs_metric());
    assert!(!lr.observe(5.0) && !lr.observe(5.0));
    assert_eq!(lr.rate(1_000_000), 0.1);
}

#[test]
fn text_is_read_as_documented() {
    let cases = [
        ("cosine:T_max=100,eta_min=0", json!({"name": "cosine", "T_max": 100})),
        ("step:step_size=30,gamma=0.1", json!({"name": "step", "step_size": 30})),
        ("multistep:milestones=30+60", json!({"name": "multistep", "milestones": [30, 60]})),
        ("multistep:milestones=30", json!({"name": "multistep", "milestones": [30.0]})),
        (" plateau : mode = max , min_lr=1e-6 ", json!({"name": "plateau", "mode": "max", "min_lr": 1e-6})),
        (
            "one_cycle:max_lr=1e-1,total_steps=40,three_phase=true",
            json!({"name": "one_cycle", "max_lr": 0.1, "total_steps": 40, "three_phase": true}),
        ),
        ("constant", json!({"name": "constant"})),
        ("linear_warmup", json!("linear_warmup:total_iters=5")),
    ];
    for (text, value) in cases {
        let from_text: Schedule = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
        let from_json: Schedule = serde_json::from_value(value).unwrap();
        assert_eq!(from_text, from_json, "{text}");
    }
}

#[test]
fn a_recipe_in_toml_may_write_a_schedule_as_table_or_as_text() {
    #[derive(serde::Deserialize)]
    struct Recipe {
        schedule: Schedule,
    }
    let want: Schedule = "cosine:T_max=30,eta_min=0.001".parse().unwrap();
    for text in
        ["schedule = { name = 'cosine', T_max = 30, eta_min = 0.001 }", "schedule = 'cosine:T_max=30,eta_min=0.001'"]
    {
        assert_eq!(toml::from_str::<Recipe>(text).unwrap().schedule, want);
    }
    let error = toml::from_str::<Recipe>("schedule = { name = 'cosine', t_max = 30 }");
    let message = error.err().unwrap().to_string();
    assert!(message.contains("no attribute `t_max`. Its attributes: T_max, eta_min."), "{message}");
}

#[test]
fn what_cannot_be_a_schedule_is_refused_by_name_and_value() {
    assert_refused("cosin", json!({}), &["`cosin`", "cosine_warm_restarts"]);
    assert_refused("cosine", json!({}), &["`cosine`", "needs", "`T_max`"]);
    assert_refused("cosine", json!({"T_max": 0}), &["`T_max` is 0", "at least 1"]);
    assert_refused("cosine", json!({"T_max": 1.5}), &["`T_max` is 1.5", "whole"]);
    assert_refused("cosine", json!({"T_max": -3}), &["`T_max` is -3", "whole"]);
    assert_refused("cosine", json!({"T_max": "many"}), &["`T_max` is \"many\"", "whole"]);
    assert_refused("cosine", json!({"T_max": 9, "tmin": 1}), &["no attribute `tmin`", "T_max, eta_min"]);
    assert_refused("constant", json!({"gamma": 1}), &["`gamma`", "has none"]);
    assert_refused("exponential", json!({"gamma": -1}), &["`gamma` is -1"]);
    assert_refused("plateau", json!({"factor": 1}), &["`factor` is 1", "below 1"]);
    assert_refused("plateau", json!({"mode": "up"}), &["`mode` is \"up\"", "min or max"]);
    assert_refused("one_cycle", json!({"max_lr": 1, "total_steps": 9, "pct_start": 1.1}), &["`pct_start` is 1.1"]);
    assert_refused("step", json!([1]), &["[1]", "not an object"]);
    assert_refused("warmup", json!({"steps": 5}), &["needs", "`then`"]);

    for (text, part) in [
        ("cosine:T_max", "`T_max` is not of the form key=value"),
        ("cosine:T_max=1,T_max=2", "`T_max` is given twice"),
        ("cosine:T_max=1/step:step_size=2", "`T_max` is \"1/step:step_size=2\""),
        ("warmup:steps=2/nothing", "no schedule `nothing`"),
        ("", "no schedule ``"),
    ] {
        let message = text.parse::<Schedule>().unwrap_err().to_string();
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }

    for base_lr in [f64::NAN, f64::INFINITY, -0.1] {
        let error = LearningRate::new(schedule("constant", json!({})), base_lr).unwrap_err();
        assert!(error.to_string().contains(&base_lr.to_string()), "{error}");
    }
}

/// Any schedule that passes the checks, with floats of every magnitude.
fn any_schedule() -> impl Strategy<Value = Schedule> {
    let float = || prop_oneof![0.0..1.0f64, 0.0..1e20f64, Just(0.0), Just(1e-8), Just(1.0)];
    let count = || prop_oneof![1..100u64, 1..u64::MAX];
    let plain = prop_oneof![
        Just(schedule("constant", json!({}))),
        Just(schedule("inverse_sqrt", json!({}))),
        (count(), float()).prop_map(|(steps, gamma)| schedule("step", json!({"step_size": steps, "gamma": gamma}))),
        (proptest::collection::vec(count(), 0..4), float())
            .prop_map(|(steps, gamma)| schedule("multistep", json!({"milestones": steps, "gamma": gamma}))),
        float().prop_map(|gamma| schedule("exponential", json!({"gamma": gamma}))),
        float().prop_map(|k| schedule("inverse", json!({"k": k}))),
        (count(), float()).prop_map(|(t, eta_min)| schedule("cosine", json!({"T_max": t, "eta_min": eta_min}))),
        (count(), count(), float()).prop_map(|(first, growth, eta_min)| {
            schedule("cosine_warm_restarts", json!({"T_0": first, "T_mult": growth, "eta_min": eta_min}))
        }),
        (float(), count())
            .prop_map(|(f, total)| schedule("linear_warmup", json!({"start_factor": f, "total_iters": total}))),
        (count(), float(), float()).prop_map(|(total, from, to)| {
            schedule("linear", json!({"total_iters": total, "start_factor": from, "end_factor": to}))
        }),
        (float(), count(), count(), float()).prop_map(|(f, warmup, t, eta_min)| {
            let attrs = json!({"start_factor": f, "warmup_steps": warmup, "T_max": t, "eta_min": eta_min});
            schedule("linear_warmup_cosine", attrs)
        }),
        (count(), float())
            .prop_map(|(total, power)| { schedule("polynomial", json!({"total_iters": total, "power": power})) }),
        (float(), count(), 0.0..1.0f64, any::<bool>(), any::<bool>()).prop_map(
            |(max_lr, total, pct_start, linear, three_phase)| {
                let curve = if linear { "linear" } else { "cos" };
                let attrs = json!({"max_lr": max_lr, "total_steps": total, "pct_start": pct_start,
                    "anneal_strategy": curve, "three_phase": three_phase});
                schedule("one_cycle", attrs)
            }
        ),
        any_plateau(),
    ];
    let warmed = (count(), float(), plain.clone())
        .prop_map(|(steps, f, then)| schedule("warmup", json!({"steps": steps, "start_factor": f, "then": then})));
    prop_oneof![plain, warmed]
}

fn any_plateau() -> impl Strategy<Value = Schedule> + Clone {
    let modes = (any::<bool>(), any::<bool>());
    let floats = (0.0..1.0f64, 0.0..1.0f64, 0.0..1e-3f64, 0.0..1e-3f64);
    (modes, floats, 0..5u64, 0..5u64).prop_map(|((max, abs), (factor, threshold, min_lr, eps), patience, cooldown)| {
        let (mode, threshold_mode) = (if max { "max" } else { "min" }, if abs { "abs" } else { "rel" });
        let attrs = json!({"mode": mode, "factor": factor, "patience": patience, "threshold": threshold,
            "threshold_mode": threshold_mode, "cooldown": cooldown, "min_lr": min_lr, "eps": eps});
        schedule("plateau", attrs)
    })
}

proptest! {
    // A failing input is printed; files of them are found only beside a lib.rs.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn text_and_json_bring_back_the_same_schedule(schedule in any_schedule()) {
        let text = schedule.to_string();
        prop_assert_eq!(&text.parse::<Schedule>().unwrap(), &schedule, "{}", text);
        let json = serde_json::to_string(&schedule).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Schedule>(&json).unwrap(), &schedule, "{}", json);
    }

    #[test]
    fn a_resumed_rate_goes_on_with_the_same_bits(
        schedule in any_plateau(),
        base_lr in 0.0..1.0f64,
        metrics in proptest::collection::vec(-1.0..1.0f64, 1..60),
        stop in 0..60usize,
    ) {
        let mut straight = LearningRate::new(schedule, base_lr).unwrap();
        let mut resumed = straight.clone();
        for (step, &metric) in metrics.iter().enumerate() {
            if step == stop {
                let state = serde_json::to_string(&resumed).unwrap();
                resumed = serde_json::from_str(&state).unwrap();
            }
            prop_assert_eq!(straight.rate(0).to_bits(), resumed.rate(0).to_bits());
            prop_assert_eq!(straight.observe(metric), resumed.observe(metric));
        }
        prop_assert_eq!(straight, resumed);
    }
}

/// What a run of so many steps makes of a schedule, at a rate of 0.5 and with ten steps per epoch.
fn of_run(text: &str, total_steps: u64) -> String {
    let schedule: RunSchedule = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(schedule.to_string().parse::<RunSchedule>().unwrap(), schedule, "{text}");
    schedule.resolve(RunLength { steps_per_epoch: 10, total_steps, lr: 0.5 }).unwrap().to_string()
}

#[test]
fn what_has_an_end_and_no_length_ends_with_the_run() {
    for (text, want) in [
        ("cosine", "cosine:T_max=80"),
        ("cosine:eta_min=1e-5", "cosine:T_max=80,eta_min=1e-5"),
        ("polynomial", "polynomial:total_iters=80"),
        ("polynomial:power=2", "polynomial:total_iters=80,power=2"),
        ("linear", "linear:total_iters=80"),
        ("linear_warmup", "linear_warmup:total_iters=80"),
        ("one_cycle", "one_cycle:max_lr=0.5,total_steps=80"),
        ("one_cycle:max_lr=0.1", "one_cycle:max_lr=0.1,total_steps=80"),
        ("linear_warmup_cosine:warmup_steps=5", "linear_warmup_cosine:warmup_steps=5,T_max=75"),
        ("warmup:steps=5/cosine:eta_min=0.1", "warmup:steps=5/cosine:T_max=75,eta_min=0.1"),
        ("warmup:steps=5/polynomial", "warmup:steps=5/polynomial:total_iters=75"),
        ("warmup:steps=5/one_cycle", "warmup:steps=5/one_cycle:max_lr=0.5,total_steps=75"),
        ("warmup:steps=2/warmup:steps=3/linear", "warmup:steps=2/warmup:steps=3/linear:total_iters=75"),
        ("cyclic:base_lr=0.1", "cyclic:base_lr=0.1,max_lr=0.5"),
        ("sequential:milestones=20/linear/cosine", "sequential:milestones=20/linear:total_iters=20/cosine:T_max=60"),
        (
            "warmup:steps=5/sequential:milestones=20,30/linear/warmup:steps=4/polynomial/cosine",
            "warmup:steps=5/sequential:milestones=20,30/linear:total_iters=20/warmup:steps=4/polynomial:total_iters=6/\
             cosine:T_max=45",
        ),
        // What is said is kept.
        ("cosine:T_max=7", "cosine:T_max=7"),
        ("polynomial:total_iters=5", "polynomial:total_iters=5"),
        ("warmup:steps=5/cosine:T_max=80", "warmup:steps=5/cosine:T_max=80"),
        ("one_cycle:total_steps=9", "one_cycle:max_lr=0.5,total_steps=9"),
        ("cosine_warm_restarts:T_0=7", "cosine_warm_restarts:T_0=7"),
        ("step:step_size=7", "step:step_size=7"),
        ("exponential:gamma=0.5", "exponential:gamma=0.5"),
        ("plateau", "plateau"),
    ] {
        assert_eq!(of_run(text, 80), want.parse::<Schedule>().unwrap().to_string(), "{text}");
    }
}

#[test]
fn a_length_may_be_in_epochs_and_a_list_is_written_in_three_ways() {
    for (text, want) in [
        ("step:step_size=3epochs", "step:step_size=30"),
        ("step:step_size=1epoch", "step:step_size=10"),
        ("cosine:T_max=0.5epochs", "cosine:T_max=5"),
        ("cosine_warm_restarts:T_0=1.5epochs,T_mult=2", "cosine_warm_restarts:T_0=15,T_mult=2"),
        ("polynomial:total_iters=2epochs", "polynomial:total_iters=20"),
        ("one_cycle:total_steps=2epochs", "one_cycle:max_lr=0.5,total_steps=20"),
        ("warmup:steps=1epochs/cosine", "warmup:steps=10/cosine:T_max=70"),
        ("linear_warmup_cosine:warmup_steps=0.01epochs", "linear_warmup_cosine:warmup_steps=1,T_max=79"),
        ("constant_factor:total_iters=2epochs", "constant_factor:total_iters=20"),
        ("cyclic:base_lr=0,step_size_up=1epochs", "cyclic:base_lr=0,max_lr=0.5,step_size_up=10"),
        (
            "sequential:milestones=1epochs+3epochs/constant/linear/cosine",
            "sequential:milestones=10+30/constant/linear:total_iters=20/cosine:T_max=50",
        ),
        ("multistep:milestones=3,5", "multistep:milestones=3+5"),
        ("multistep:milestones=3,5,gamma=0.5", "multistep:milestones=3+5,gamma=0.5"),
        ("multistep:gamma=0.5,milestones=[3, 5]", "multistep:milestones=3+5,gamma=0.5"),
        ("multistep:milestones=[3]", "multistep:milestones=3"),
        ("multistep:milestones=1epochs,25,3epochs", "multistep:milestones=10+25+30"),
        ("multistep:milestones=[1epochs,2epochs],gamma=0.5", "multistep:milestones=10+20,gamma=0.5"),
        ("multistep:milestones=1epochs+2epochs", "multistep:milestones=10+20"),
        ("multistep:milestones=2epochs", "multistep:milestones=20"),
    ] {
        assert_eq!(of_run(text, 80), want.parse::<Schedule>().unwrap().to_string(), "{text}");
    }
    let table =
        json!({"name": "warmup", "steps": "1epochs", "then": {"name": "multistep", "milestones": ["2epochs", 5]}});
    let schedule: RunSchedule = serde_json::from_value(table).unwrap();
    assert_eq!(schedule.to_string(), "warmup:steps=1epochs/multistep:milestones=2epochs+5");
    for (text, parts) in [
        ("cosine:T_max=2epoch3", &["`T_max` is \"2epoch3\"", "30epochs"][..]),
        ("cosine:T_max=-2epochs", &["`T_max` is \"-2epochs\""]),
        ("cosine:T_max=1e300epochs", &["`T_max` is \"1e300epochs\""]),
        ("cosine:T_max=3,5", &["`T_max` is [3,5]", "whole number"]),
        ("cosine:tmax=3", &["no attribute `tmax`", "T_max, eta_min"]),
        ("multistep:milestones=3,5epoch,gama=1", &["no attribute `gama`", "milestones, gamma"]),
        ("exponential:gamma=3epochs", &["`gamma` is \"3epochs\"", "a finite number"]),
        ("plateau:patience=3epochs", &["`patience`", "whole number"]),
        ("step", &["needs the attribute `step_size`"]),
        ("warmup:steps=5", &["needs the attribute `then`"]),
    ] {
        let message = text.parse::<RunSchedule>().unwrap_err().to_string();
        for part in parts {
            assert!(message.contains(part), "{text}: `{part}` is not in: {message}");
        }
    }
}

#[test]
fn warm_ups_nest_no_deeper_than_anyone_wants_and_errors_are_no_longer_than_a_line() {
    let deep = |times: usize| format!("{}constant", "warmup:steps=1/".repeat(times));
    assert!(deep(8).parse::<Schedule>().is_ok() && deep(8).parse::<RunSchedule>().is_ok());
    for times in [9, 50_000] {
        let message = deep(times).parse::<RunSchedule>().unwrap_err().to_string();
        assert!(message.contains("more than 8 warm-ups"), "{message}");
        assert_eq!(deep(times).parse::<Schedule>().unwrap_err().to_string(), message);
        assert!(
            serde_json::from_value::<Schedule>(json!({"name": "warmup", "steps": 1, "then": deep(times)})).is_err()
        );
    }
    let mut table = json!("constant");
    for _ in 0..100 {
        table = json!({"name": "warmup", "steps": 1, "then": table});
    }
    let message = RunSchedule::try_from(table).unwrap_err().to_string();
    assert!(message.contains("more than 8 warm-ups"), "{message}");
    for text in
        ["x".repeat(100_000), format!("cosine:T_max={}", "9".repeat(100_000)), format!("step:{}", "y".repeat(9999))]
    {
        let message = text.parse::<RunSchedule>().unwrap_err().to_string();
        assert!(message.len() < 500, "{} characters", message.len());
    }
}

#[test]
fn a_cosine_turns_where_its_rate_is_least() {
    for text in [
        "cosine:T_max=7",
        "warmup:steps=3/cosine:T_max=7",
        "linear_warmup_cosine:start_factor=0.1,warmup_steps=3,T_max=7",
        "sequential:milestones=4/step:step_size=2/cosine:T_max=7",
        "sequential:milestones=20/cosine:T_max=7/constant",
    ] {
        let schedule: Schedule = text.parse().unwrap();
        let turn = schedule.turn().unwrap();
        assert!(schedule.rate(1.0, turn - 1) > schedule.rate(1.0, turn), "{text}");
        assert!(schedule.rate(1.0, turn + 1) > schedule.rate(1.0, turn), "{text}");
    }
    for text in [
        "constant",
        "cosine_warm_restarts:T_0=7",
        "one_cycle:max_lr=1,total_steps=7",
        "warmup:steps=3/step:step_size=2",
        "sequential:milestones=8/cosine:T_max=7/constant",
        "cyclic:base_lr=0,max_lr=1,step_size_up=7",
    ] {
        assert_eq!(text.parse::<Schedule>().unwrap().turn(), None, "{text}");
    }
}

#[test]
fn a_learning_rate_goes_on_from_what_a_plateau_remembers() {
    let rate = || LearningRate::new("plateau:patience=0,factor=0.5".parse().unwrap(), 1.0).unwrap();
    let (mut earlier, mut later) = (rate(), rate());
    earlier.observe(1.0);
    assert!(earlier.observe(1.0) && earlier.rate(0) == 0.5);
    later.go_on_from(earlier.clone());
    assert_eq!(later, earlier);
    let mut constant = LearningRate::new(schedule("constant", json!({})), 1.0).unwrap();
    constant.go_on_from(earlier);
    assert_eq!(constant.rate(0), 1.0);
}
