//! Tells a person how a run goes: a bar on a terminal, plain lines elsewhere. What takes long without news is told by
//! a thread of its own, which looks at the [`Activity`].

use super::colour::{NOTE, PROGRESS};
use indicatif::{ProgressBar, ProgressStyle};
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tilewright::activity::{Activity, Position, Stage};
use tilewright::printable::printable;
use tilewright::train::{EpochRow, Reporter};

/// Writes to standard error: a bar when it is a terminal, else a line every few seconds.
pub(crate) struct TerminalReporter {
    shared: Arc<Shared>,
    /// Looks at the activity; none where there is nothing to look at.
    watch: Option<JoinHandle<()>>,
}

struct Shared {
    shown: Mutex<Shown>,
    ended: Condvar,
}

/// What stands on the screen, or was written last.
struct Shown {
    is_terminal: bool,
    bar: Option<ProgressBar>,
    /// Between the begin and the end of what has a title, such as an epoch.
    title: Option<String>,
    /// Whether the title says how far the command is.
    is_counted: bool,
    steps: u64,
    /// Of the steps whose metrics are known.
    news: String,
    /// Until the run ends, as far as it can be told.
    left: Option<Duration>,
    last_line: Instant,
    is_over: bool,
}

/// Time between lines when there is no bar.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Kernels that take longer than this are told of, though nothing else was silent for long.
const COMPILING_AFTER: Duration = Duration::from_secs(2);

/// A device that waits for images for a smaller share of its time is busy.
const NOTICEABLE: f64 = 0.05;

/// What is over sooner has no bar of its own.
const BAR_AFTER: Duration = Duration::from_millis(300);

/// Time between looks at the activity.
const LOOK_EVERY: Duration = Duration::from_millis(200);

const BAR: &str = "{prefix} [{bar:30}] {pos}/{len}";
const BAR_WITH_NEWS: &str = "{prefix} [{bar:30}] {pos}/{len} {msg}, {eta} left";
const BAR_WITH_STAGE: &str = "{prefix} [{bar:30}] {pos}/{len} {msg}";
/// Of what is not counted.
const NO_BAR: &str = "{msg}";

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(&PROGRESS.paint(template))
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

/// Writes a line; who closed the pipe does not want to read on, but the run goes on.
fn tell(line: fmt::Arguments<'_>) {
    writeln!(io::stderr(), "{line}").ok();
}

impl Default for TerminalReporter {
    /// Tells only what it hears.
    fn default() -> Self {
        let shown = Shown {
            is_terminal: io::stderr().is_terminal(),
            bar: None,
            title: None,
            is_counted: false,
            steps: 0,
            news: String::new(),
            left: None,
            last_line: Instant::now(),
            is_over: false,
        };
        let shared = Shared { shown: Mutex::new(shown), ended: Condvar::new() };
        TerminalReporter { shared: Arc::new(shared), watch: None }
    }
}

impl TerminalReporter {
    /// Tells also what `activity` is at: at once on a terminal, and elsewhere wherever nothing was said for long. The
    /// watch ends with the reporter.
    pub(crate) fn watching(activity: Activity) -> Self {
        let mut reporter = TerminalReporter::default();
        let shared = Arc::clone(&reporter.shared);
        // Without a thread to spare, a run is silent at times.
        let watch = std::thread::Builder::new().name("progress".to_owned()).spawn(move || shared.watch(&activity));
        reporter.watch = watch.ok();
        reporter
    }

    /// As [`TerminalReporter::watching`], in lines also on a terminal: beside what writes there itself.
    pub(crate) fn in_lines(activity: Activity) -> Self {
        let reporter = TerminalReporter::watching(activity);
        reporter.shown().is_terminal = false;
        reporter
    }

    /// From now on, lines begin with this, and there is one every few seconds whatever the activity is at.
    pub(crate) fn entitle(&self, title: &str) {
        let mut shown = self.shown();
        shown.title = Some(title.to_owned());
        shown.is_counted = true;
    }

    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.shared.lock()
    }
}

impl Drop for TerminalReporter {
    fn drop(&mut self) {
        self.shown().is_over = true;
        self.shared.ended.notify_all();
        if let Some(watch) = self.watch.take() {
            watch.join().ok();
        }
        self.shown().clear();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watch(&self, activity: &Activity) {
        let mut shown = self.lock();
        while !shown.is_over {
            shown.look(activity.now());
            let waited = self.ended.wait_timeout(shown, LOOK_EVERY);
            shown = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Shown {
    /// Shows where the activity is, as far as nothing better is known.
    fn look(&mut self, now: Position) {
        if self.is_terminal {
            self.look_at_terminal(now);
        } else if self.is_line_due(now) {
            self.last_line = Instant::now();
            tell(format_args!("{}", self.line(now)));
        }
    }

    /// Where the activity is, in a line.
    fn line(&self, now: Position) -> String {
        match (&self.title, now.stage) {
            (None, _) => words(now),
            (Some(title), Stage::Idle) => title.clone(),
            (Some(title), Stage::Training) if self.news.is_empty() => format!("{title}, {}", words(now)),
            (Some(title), Stage::Training) => format!("{title}, {}: {} so far", words(now), self.news),
            (Some(title), _) => format!("{title}: {}", words(now)),
        }
    }

    fn is_line_due(&self, now: Position) -> bool {
        let silent = self.last_line.elapsed();
        match now.stage {
            _ if self.is_counted => silent >= LINE_EVERY,
            Stage::Idle => false,
            Stage::Compiling if silent >= now.lasted() => now.lasted() >= COMPILING_AFTER,
            _ => silent >= LINE_EVERY,
        }
    }

    fn look_at_terminal(&mut self, now: Position) {
        match (&self.bar, now.stage) {
            (None, Stage::Idle) => {}
            (None, _) if now.lasted() < BAR_AFTER => {}
            (None, _) => self.bar = Some(passing_bar(now)),
            (Some(_), Stage::Idle) if self.title.is_none() => self.clear(),
            (Some(_), Stage::Idle) => {}
            (Some(bar), _) if self.title.is_none() => update_passing_bar(bar, now),
            // Loss and accuracy come later than the step is submitted.
            (Some(bar), Stage::Training) if self.news.is_empty() => bar.set_position(now.done),
            (Some(bar), Stage::Training) => {
                bar.set_style(self.style_with_news());
                bar.set_message(self.news.clone());
                bar.set_position(now.done);
            }
            (Some(bar), _) => {
                bar.set_style(style(BAR_WITH_STAGE));
                bar.set_message(words(now));
            }
        }
    }

    /// The time of the run, or where it is not known that of what has the title.
    fn style_with_news(&self) -> ProgressStyle {
        style(if self.left.is_some() { BAR_WITH_STAGE } else { BAR_WITH_NEWS })
    }

    fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

/// The bar of a stage that is no part of what has a title.
fn passing_bar(now: Position) -> ProgressBar {
    let bar = ProgressBar::new(now.total);
    update_passing_bar(&bar, now);
    bar
}

fn update_passing_bar(bar: &ProgressBar, now: Position) {
    bar.set_style(style(if now.total == 0 { NO_BAR } else { BAR_WITH_STAGE }));
    bar.set_prefix("");
    bar.set_length(now.total);
    bar.set_position(now.done);
    bar.set_message(words(now));
}

/// What is done now, and how far it is.
fn words(now: Position) -> String {
    let Position { done, total, .. } = now;
    let seconds = now.stood().as_secs();
    // What has only begun is told by its name.
    let lasting = |what: &str| if seconds == 0 { what.to_owned() } else { format!("{what}, for {seconds} s") };
    match now.stage {
        Stage::Idle => "waiting".to_owned(),
        Stage::Reading => lasting("reading the images"),
        Stage::Planning => lasting("planning the kernels"),
        Stage::Compiling => format!("compiling {} of {total} kernels", (done + 1).min(total)),
        Stage::Training if seconds >= LINE_EVERY.as_secs() && done > 0 => {
            format!("step {done}/{total} submitted {seconds} s ago, waiting for the device")
        }
        Stage::Training => format!("step {done}/{total} submitted"),
        Stage::Testing => format!("testing, batch {} of {total}", (done + 1).min(total)),
        Stage::Saving => lasting("writing the checkpoint"),
    }
}

/// A time to wait, no more exact than it is known.
fn about(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        ..90.0 => format!("{seconds:.0} s"),
        ..5400.0 => format!("{:.0} min", seconds / 60.0),
        ..172_800.0 => format!("{:.1} h", seconds / 3600.0),
        _ => format!("{:.1} days", seconds / 86_400.0),
    }
}

impl Reporter for TerminalReporter {
    fn note(&mut self, line: &str) {
        let mut shown = self.shown();
        shown.last_line = Instant::now();
        match &shown.bar {
            Some(bar) => bar.suspend(|| tell(format_args!("{}", NOTE.paint(&printable(line))))),
            None => tell(format_args!("{}", NOTE.paint(&printable(line)))),
        }
    }

    fn begin(&mut self, title: &str, done: u64, steps: u64) {
        let mut shown = self.shown();
        shown.clear();
        shown.title = Some(title.to_owned());
        shown.news.clear();
        shown.steps = steps;
        if shown.is_terminal {
            // Nothing is known of loss and time until the first steps are read back.
            let bar = ProgressBar::new(steps).with_position(done).with_style(style(BAR));
            bar.set_prefix(title.to_owned());
            shown.bar = Some(bar);
        }
    }

    fn expect(&mut self, left: Duration) {
        self.shown().left = Some(left);
    }

    fn advance(&mut self, done: u64, loss: f64, accuracy: f64, images_per_second: f64) {
        let mut shown = self.shown();
        let left = shown.left.map_or_else(String::new, |left| format!(", {} left", about(left)));
        let accuracy = 100.0 * accuracy;
        shown.news = format!("loss {loss:.4}, accuracy {accuracy:.2} %, {images_per_second:.0} images/s{left}");
        match &shown.bar {
            Some(bar) => {
                bar.set_style(shown.style_with_news());
                bar.set_message(shown.news.clone());
                bar.set_position(done.max(bar.position()));
            }
            None if shown.last_line.elapsed() >= LINE_EVERY => {
                shown.last_line = Instant::now();
                let title = shown.title.as_deref().unwrap_or_default();
                tell(format_args!("{title}, step {done}/{}: {}", shown.steps, shown.news));
            }
            None => {}
        }
    }

    fn end_epoch(&mut self, row: &EpochRow) {
        let mut shown = self.shown();
        shown.clear();
        shown.last_line = Instant::now();
        let title = shown.title.take().unwrap_or_default();
        let (on, (loss, accuracy)) = (row.decided_on(), row.decided());
        let skipped = row.skipped_steps.map_or(String::new(), |steps| format!(", {steps} steps skipped so far"));
        let waited = row.data_wait.filter(|&share| share >= NOTICEABLE);
        let waited = waited.map_or(String::new(), |share| format!(", {:.0} % of it waiting for images", 100.0 * share));
        tell(format_args!(
            "{title}: loss {:.4}, accuracy {:.2} %, {on} loss {loss:.4}, {on} accuracy {:.2} %, {:.0} images/s, {:.1} s\
             {waited}{skipped}",
            row.train_loss,
            100.0 * row.train_accuracy,
            100.0 * accuracy,
            row.images_per_second,
            row.seconds
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(silent: u64) -> Shown {
        let last_line = Instant::now().checked_sub(Duration::from_secs(silent)).unwrap();
        let (bar, title, news) = (None, None, String::new());
        Shown {
            is_terminal: false,
            bar,
            title,
            is_counted: false,
            steps: 0,
            news,
            left: None,
            last_line,
            is_over: false,
        }
    }

    fn position(stage: Stage, done: u64, total: u64, seconds: u64) -> Position {
        let activity = Activity::default();
        let entered = activity.enter(stage, total);
        entered.reach(done);
        activity.now().earlier(Duration::from_secs(seconds))
    }

    #[test]
    fn no_stage_is_silent_for_more_than_ten_seconds() {
        for stage in [Stage::Reading, Stage::Planning, Stage::Training, Stage::Testing, Stage::Saving] {
            assert!(!shown(9).is_line_due(position(stage, 0, 5, 9)), "{stage:?}");
            assert!(shown(10).is_line_due(position(stage, 0, 5, 10)), "{stage:?}");
        }
        assert!(!shown(60).is_line_due(position(Stage::Idle, 0, 0, 60)), "nothing is done that takes long");
        assert!(shown(10).is_line_due(position(Stage::Training, 3, 5, 0)), "what goes on without news is told too");
    }

    #[test]
    fn a_command_that_counts_is_never_silent_for_long() {
        let mut shown = shown(10);
        (shown.title, shown.is_counted) = (Some("case 3 of 9, relu".to_owned()), true);
        for (stage, line) in [
            (Stage::Idle, "case 3 of 9, relu"),
            (Stage::Planning, "case 3 of 9, relu: planning the kernels"),
            (Stage::Compiling, "case 3 of 9, relu: compiling 1 of 2 kernels"),
        ] {
            let now = position(stage, 0, 2, 0);
            assert!(shown.is_line_due(now), "{stage:?}");
            assert_eq!(shown.line(now), line);
        }
        shown.last_line = Instant::now();
        assert!(!shown.is_line_due(position(Stage::Idle, 0, 0, 60)));
    }

    #[test]
    fn compiling_is_told_of_sooner_once() {
        assert!(!shown(30).is_line_due(position(Stage::Compiling, 3, 40, 1)));
        assert!(shown(30).is_line_due(position(Stage::Compiling, 3, 40, 2)));
        assert!(!shown(1).is_line_due(position(Stage::Compiling, 3, 40, 9)));
        assert!(shown(10).is_line_due(position(Stage::Compiling, 3, 40, 12)));
    }

    #[test]
    fn a_line_says_how_far_the_stage_is() {
        let mut shown = shown(10);
        assert_eq!(shown.line(position(Stage::Compiling, 3, 40, 4)), "compiling 4 of 40 kernels");
        assert_eq!(shown.line(position(Stage::Compiling, 40, 40, 4)), "compiling 40 of 40 kernels");
        shown.title = Some("epoch 1/5".to_owned());
        assert_eq!(shown.line(position(Stage::Training, 2, 600, 3)), "epoch 1/5, step 2/600 submitted");
        assert_eq!(
            shown.line(position(Stage::Training, 2, 600, 20)),
            "epoch 1/5, step 2/600 submitted 20 s ago, waiting for the device"
        );
        assert_eq!(shown.line(position(Stage::Testing, 0, 8, 11)), "epoch 1/5: testing, batch 1 of 8");
        assert_eq!(shown.line(position(Stage::Planning, 0, 0, 0)), "epoch 1/5: planning the kernels");
        assert_eq!(shown.line(position(Stage::Planning, 0, 0, 12)), "epoch 1/5: planning the kernels, for 12 s");
        shown.news = "loss 2.3000".to_owned();
        assert_eq!(
            shown.line(position(Stage::Training, 9, 600, 3)),
            "epoch 1/5, step 9/600 submitted: loss 2.3000 so far"
        );
    }
    #[test]
    fn the_time_that_is_left_of_a_run_is_part_of_its_news() {
        let told = |seconds: f64| about(Duration::from_secs_f64(seconds));
        assert_eq!([4.4, 89.0, 600.0, 7200.0, 259_200.0].map(told), ["4 s", "89 s", "10 min", "2.0 h", "3.0 days"]);
        let mut reporter = TerminalReporter::default();
        reporter.begin("epoch 1/5", 0, 600);
        reporter.advance(16, 2.3, 0.1, 50.0);
        assert_eq!(reporter.shown().news, "loss 2.3000, accuracy 10.00 %, 50 images/s");
        reporter.expect(Duration::from_secs(720));
        reporter.advance(32, 2.2, 0.2, 50.0);
        assert_eq!(reporter.shown().news, "loss 2.2000, accuracy 20.00 %, 50 images/s, 12 min left");
    }
}
