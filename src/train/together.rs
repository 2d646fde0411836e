//! Who trains a run together: one member leads it, with the run folder and the terminal, and the others follow.

use super::runner::Runner;
use super::start::{expect_kernels, start};
use super::{Outcome, Reporter, Resolved, RunFolder, Silent, TrainError, Trainer};
use crate::checkpoint::{Checkpoint, CheckpointError, parse, serialize};
use crate::data::Splits;
use crate::kernel::DeviceClass;
use crate::parallel::{Alone, Collective, ParallelError, Threads, expect_alike};
use crate::path_text;
use crate::recipe::RunRecord;
use crate::session::Device;
use crate::setting::BadSetting;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// As the main thread has it.
const STACK: usize = 8 << 20;

impl Trainer {
    /// Lets other devices of this process train along, each with its part of a batch's shards. A device may be given more
    /// than once, opened anew each time.
    ///
    /// The run ends with the same weights, to the last bit, as one of as many shards on one device of the kind. Where
    /// adapters differ, their weights are made equal again after each epoch.
    ///
    /// ```no_run
    /// use tilewright::gpu::DeviceOptions;
    /// use tilewright::recipe::TrainConfig;
    /// use tilewright::session::Device;
    /// use tilewright::train::{Silent, Trainer};
    ///
    /// let open = |name: &str| Device::open(name, DeviceOptions::default());
    /// let recipe = TrainConfig { shards: Some(2), ..TrainConfig::for_model("lenet5")? };
    /// let run = Trainer::create(recipe, &open("0")?, None)?;
    /// run.together_with(vec![open("1")?])?.run(&mut Silent)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When the run has fewer shards than there are devices, or these are of another kind than its own.
    pub fn together_with(mut self, others: Vec<Device>) -> Result<Trainer, TrainError> {
        expect_shards(self.header.config.shard_count(), 1 + others.len())?;
        let own = self.runner.session.device();
        for (place, other) in others.iter().enumerate() {
            let differs = |what: String| ParallelError::Differs { rank: place + 1, world: others.len() + 1, what };
            if kind(own) != kind(other) {
                return Err(differs(format!("its device, {} and not {}", kind(other), kind(own))).into());
            }
            if own.tuned_kernels() != other.tuned_kernels() {
                return Err(differs("the kernels that its device was opened with".to_owned()).into());
            }
        }
        self.others = others;
        Ok(self)
    }

    /// Trains along with other processes, of which this is the first: it has the run folder. The others
    /// [follow](Trainer::follow).
    ///
    /// # Errors
    /// When the run has fewer shards than there are members, another member differs in its data or in the kind of its
    /// device, or does not answer.
    pub fn leading(mut self, group: Arc<dyn Collective>) -> Result<Trainer, TrainError> {
        expect_shards(self.header.config.shard_count(), group.world())?;
        agree(&*group, self.runner.session.device(), &self.splits)?;
        let state = self.state()?;
        self.group = group;
        self.group.broadcast(path_text::to_text(self.folder.path()).as_bytes())?;
        self.shared(Some(state))?;
        Ok(self)
    }

    /// Trains along with other processes, of which the first [leads](Trainer::leading): what it begins with comes from there.
    /// `splits` are the same images as there.
    ///
    /// # Errors
    /// As [`Trainer::leading`], or when this device cannot run the model.
    pub fn follow(
        group: Arc<dyn Collective>,
        splits: impl Into<Arc<Splits>>,
        device: &Device,
    ) -> Result<Trainer, TrainError> {
        let splits = splits.into();
        agree(&*group, device, &splits)?;
        let folder = path_text::from_text(&String::from_utf8_lossy(&group.broadcast(&[])?));
        let state = shared(&*group, &folder, None)?;
        let missing = || CheckpointError::NotACheckpoint { path: folder.clone(), reason: "it is empty".to_owned() };
        let state = state.ok_or_else(missing)?;
        let table = state.header.config.tuned.as_ref().map(|_| RunFolder::tuned(&folder));
        expect_kernels(device, table.as_deref())?;
        Trainer::following(group, &state, splits, device, folder)
    }

    /// Whether it has the run folder and the terminal.
    pub(super) fn leads(&self) -> bool {
        self.group.rank() == 0
    }

    /// Who else trains, for people.
    pub(super) fn with_whom(&self) -> String {
        match self.others.len().max(self.group.world() - 1) {
            0 => String::new(),
            others => format!(", and {others} more"),
        }
    }

    /// This member and threads for the others.
    pub(super) fn run_with_others(&mut self, epochs: u64, reporter: &mut dyn Reporter) -> Result<Outcome, TrainError> {
        let others = self.others.clone();
        let mut members = Threads::split(1 + others.len());
        let followers = members.split_off(1);
        let own = members.swap_remove(0);
        let (state, splits, folder) = (self.state()?, Arc::clone(&self.splits), self.folder.path().to_owned());
        let watch = own.watch();
        self.group = Arc::new(own);
        let outcome = std::thread::scope(|scope| {
            // Where one cannot be started, those that wait already are told.
            watch.over(|| {
                for (member, device) in followers.into_iter().zip(&others) {
                    let (state, splits, folder) = (&state, Arc::clone(&splits), folder.clone());
                    let work = move || {
                        let watch = member.watch();
                        watch.over(|| {
                            let group: Arc<dyn Collective> = Arc::new(member);
                            Trainer::following(group, state, splits, device, folder)?.run_here(epochs, &mut Silent)
                        })
                    };
                    let named = std::thread::Builder::new().name("follower".to_owned()).stack_size(STACK);
                    // What it gives is the leader's too; why it failed, the leader is told.
                    named.spawn_scoped(scope, work).map_err(TrainError::file("a thread", "started"))?;
                }
                self.run_here(epochs, reporter)
            })
        });
        self.group = Arc::new(Alone);
        outcome
    }

    /// What another member begins with.
    fn state(&mut self) -> Result<Checkpoint, TrainError> {
        self.header.learning_rate = serde_json::to_value(&self.learning_rate).unwrap_or_default();
        Ok(Checkpoint { header: self.header.clone(), tensors: self.runner.export(self.header.progress.step)? })
    }

    /// A member that follows the one who has given it this state, and whose run is in `folder`.
    fn following(
        group: Arc<dyn Collective>,
        state: &Checkpoint,
        splits: Arc<Splits>,
        device: &Device,
        folder: PathBuf,
    ) -> Result<Trainer, TrainError> {
        let config = &state.header.config;
        let resolved = Resolved::of_data(config, &splits.train)?;
        let mut runner = Runner::new(config, &splits, resolved, device)?;
        runner.restore(state, &folder)?;
        let (_, mut learning_rate) = start(config, &splits, resolved)?;
        if let Ok(earlier) = serde_json::from_value(state.header.learning_rate.clone()) {
            learning_rate.go_on_from(earlier);
        }
        let folder = RunFolder::of_another(folder);
        let mut trainer = Trainer::new(splits, resolved, runner, state.header.clone(), learning_rate, folder);
        trainer.group = group;
        Ok(trainer)
    }

    /// What the one who leads has, on every member.
    pub(super) fn shared(&self, own: Option<Checkpoint>) -> Result<Option<Checkpoint>, TrainError> {
        shared(&*self.group, self.folder.path(), own)
    }

    /// Whether members have other adapters than the first, so that their weights come apart in their last bits.
    pub(super) fn expect_adapters(&mut self) -> Result<(), TrainError> {
        let names = self.group.all_gather(self.engine_name().as_bytes())?;
        let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
        self.adapters_differ = names.iter().any(|name| *name != names[0]);
        if self.adapters_differ {
            let names: Vec<String> = names.iter().map(|name| text(name)).collect();
            self.notes.push(format!(
                "the adapters are {}: their weights are made equal after each epoch, and have other last bits than those of \
                 one kind",
                names.join(", ")
            ));
        }
        Ok(())
    }

    /// Makes the weights of all members those of the first, where adapters differ.
    pub(super) fn level(&mut self) -> Result<(), TrainError> {
        if !self.adapters_differ {
            return Ok(());
        }
        let own = if self.leads() { Some(self.state()?) } else { None };
        match self.shared(own)? {
            Some(state) if !self.leads() => self.runner.restore(&state, self.folder.path()),
            _ => Ok(()),
        }
    }
}

fn shared(group: &dyn Collective, path: &Path, own: Option<Checkpoint>) -> Result<Option<Checkpoint>, TrainError> {
    if group.world() == 1 {
        return Ok(own);
    }
    let refused = |reason| CheckpointError::NotACheckpoint { path: path.to_owned(), reason };
    let bytes = own.as_ref().map_or(Ok(Vec::new()), serialize).map_err(refused)?;
    let bytes = group.broadcast(&bytes)?;
    if bytes.is_empty() { Ok(None) } else { Ok(Some(parse(path, &bytes)?)) }
}

/// Refuses members on other images, or on a device of another kind.
fn agree(group: &dyn Collective, device: &Device, splits: &Splits) -> Result<(), TrainError> {
    expect_alike(group, "the kind of its device", kind(device))?;
    let data = serde_json::to_string(&RunRecord::of(splits, String::new())).unwrap_or_default();
    Ok(expect_alike(group, "its images", &data)?)
}

/// Refuses members that would have no shard.
pub(super) fn expect_shards(shards: usize, world: usize) -> Result<(), TrainError> {
    match world > shards {
        true => Err(BadSetting::new("shards", shards, format!("at least {world}, one for each member")).into()),
        false => Ok(()),
    }
}

/// What two devices must have in common.
fn kind(device: &Device) -> &'static str {
    match device.gpu().map(|gpu| gpu.profile().class) {
        None => "the CPU reference",
        Some(DeviceClass::Cpu) => "a software adapter",
        Some(DeviceClass::Gpu) => "a GPU",
    }
}
