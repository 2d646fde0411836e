//! `tilewright bench step` on several devices or processes.

use super::device_list::{DeviceList, own_devices};
use super::members::Group;
use super::step::StepOptions;
use super::{CliError, Global};
use clap::Args;
use serde_json::{Value, json};
use std::sync::Arc;
use tilewright::bench;
use tilewright::parallel::{Collective, Threads};
use tilewright::recipe::{Precision, TrainConfig};
use tilewright::session::Device;
use tilewright::train::{ShardTiming, TrainError, time_shards};

#[derive(Args, Clone)]
pub(super) struct StepOfMembers {
    #[command(flatten)]
    pub step: StepOptions,
    /// Measure a step of several devices: their numbers or names with commas between them, or `all` of the first one's kind
    ///
    /// Each runs its part of the shards, of which the batch has one for each device or process. Besides the time of a step,
    /// the share of the exchange is told, and the efficiency: how much longer a device takes than alone, for its part of
    /// the batch.
    #[arg(long, value_name = "DEVICE,...", help_heading = "Device", conflicts_with = "device")]
    devices: Option<DeviceList>,
    /// Cut the batch into so many shards, where that is more than there are devices and processes
    #[arg(
        long,
        default_value_t = 1,
        value_name = "SHARDS",
        value_parser = clap::value_parser!(u32).range(1..),
        help_heading = "Model"
    )]
    pub shards: u32,
    /// Normalise shards by the statistics of the whole batch
    #[arg(long, help_heading = "Model")]
    sync_batch_norm: bool,
}

impl StepOfMembers {
    /// Those of this process.
    pub(super) fn devices(&self, group: Option<&Group>, global: &Global) -> Result<Vec<String>, CliError> {
        own_devices(self.devices.as_ref(), group, &global.device)
    }

    /// Measures a step of `world` members; the first one tells what came of it.
    pub(super) fn run(
        &self,
        global: &Global,
        precision: Precision,
        devices: &[String],
        group: Option<&Group>,
        world: usize,
    ) -> Result<Option<Value>, CliError> {
        let batch = self.step.batch();
        let shards = (self.shards as usize).max(world);
        let config =
            TrainConfig { shards: Some(shards), sync_batch_norm: self.sync_batch_norm, ..self.step.config(precision) };
        let devices =
            devices.iter().map(|device| global.training_device_named(device, global.tuned.as_deref(), precision));
        let devices = devices.collect::<Result<Vec<Device>, CliError>>()?;
        let is_first = group.is_none_or(|group| group.rank == 0);
        let alone = match (is_first, devices[0].gpu()) {
            (true, Some(gpu)) => {
                let own = TrainConfig { batch: batch.div_ceil(world), ..self.step.config(precision) };
                let (classes, size) = self.step.images();
                Some(bench::measure(gpu, &bench::step_case(&own, classes, size)?.graph)?.median)
            }
            _ => None,
        };
        let timing = match group {
            Some(group) => self.time(&config, &devices[0], &*group.members)?,
            None => self.time_here(&config, &devices)?,
        };
        Ok(is_first.then(|| self.tell(global, &config, &devices[0].name(), [shards, world], &timing, alone)))
    }

    fn time(&self, config: &TrainConfig, device: &Device, group: &dyn Collective) -> Result<ShardTiming, TrainError> {
        let (classes, size) = self.step.images();
        time_shards(config, classes, size, device, group)
    }

    /// On devices of this process.
    fn time_here(&self, config: &TrainConfig, devices: &[Device]) -> Result<ShardTiming, CliError> {
        let members = Threads::split(devices.len());
        let timings = std::thread::scope(|scope| {
            let time = |(member, device): (Threads, &Device)| {
                let watch = member.watch();
                let member: Arc<dyn Collective> = Arc::new(member);
                let config = config.clone();
                let device = device.clone();
                scope.spawn(move || watch.over(|| self.time(&config, &device, &*member)))
            };
            let running: Vec<_> = members.into_iter().zip(devices).map(time).collect();
            let ended: Vec<_> = running.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
            ended
        });
        let mut first = None;
        for timing in timings {
            let timing = timing.map_err(|_| CliError::failed("a member panicked"))??;
            first.get_or_insert(timing);
        }
        first.ok_or_else(|| CliError::usage("there is no device"))
    }

    fn tell(
        &self,
        global: &Global,
        config: &TrainConfig,
        device: &str,
        [shards, world]: [usize; 2],
        timing: &ShardTiming,
        alone: Option<f64>,
    ) -> Value {
        let ShardTiming { median, quartiles, exchange, exposed, sent, .. } = *timing;
        let (images, efficiency) = (config.batch as f64 / median, alone.map(|alone| alone / median));
        let spread = quartiles.map(|time| 100.0 * (time / median - 1.0));
        let name = format!("{} batch {} of {shards} shards, {world} members", config.model, config.batch);
        global.say(format_args!(
            "{name}: {images:.1} images/s, {:.2} ms per step ({:+.0}/{:+.0} %); exchange {:.0} % of the step, {:.0} % while the \
             device did nothing; {:.1} MB sent by each per step",
            1e3 * median,
            spread[0],
            spread[1],
            100.0 * exchange,
            100.0 * exposed,
            sent as f64 / 1e6
        ));
        if let (Some(alone), Some(efficiency)) = (alone, efficiency) {
            global.say(format_args!(
                "alone a device takes {:.2} ms for its part of the batch: efficiency {:.0} %",
                1e3 * alone,
                100.0 * efficiency
            ));
        }
        json!({
            "device": device,
            "kernels": [{ "name": name, "variant": "rule", "ms": 1e3 * median }],
            "images_per_second": images,
            "ms_per_step": 1e3 * median,
            "members": world,
            "shards": shards,
            "exchange": exchange,
            "exposed_exchange": exposed,
            "sent_bytes": sent,
            "alone_ms": alone.map(|alone| 1e3 * alone),
            "efficiency": efficiency,
        })
    }
}
