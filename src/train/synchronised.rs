//! A step whose batch norms take the statistics of the whole batch: its shards run side by side, and meet at each batch norm.

use super::TrainError;
use super::meeting::meet;
use super::runner::Runner;
use super::shards::{OfStep, Running, Shards};
use crate::data::PackedBatch;
use crate::parallel::{Collective, Tree, block};

impl Shards {
    /// As [`Shards::step`], where batch norms are those of the whole batch.
    ///
    /// # Errors
    /// As [`Shards::step`].
    pub(super) fn synchronised_step(
        &mut self,
        runner: &mut Runner,
        group: &dyn Collective,
        of_step: OfStep<'_>,
        mut next: impl FnMut() -> Result<PackedBatch, TrainError>,
    ) -> Result<Vec<f32>, TrainError> {
        let OfStep { first, parts, weights } = of_step;
        let own = block(parts, group.rank(), group.world());
        let mut shards = Vec::new();
        for (shard, &weight) in weights.iter().enumerate().filter(|(shard, _)| own.contains(shard)) {
            let place = shards.len();
            let is_short = runner.begin_shard(place, first + shard as u64, &next()?, weight.gradients)?;
            // Its loss has its share already.
            shards.push((is_short, Running::new(first, shard, weight.of_shared_loss())));
        }
        let (points, all) = (runner.points.clone(), runner.sums.clone());
        let mut rows = Vec::new();
        // Sums that were exchanged, and those that the device has been told to read.
        let (mut done, mut read) = (0, 0);
        for (at, point) in points.iter().enumerate() {
            let ready = all.iter().filter(|sums| sums.after <= at).count();
            let mut given = Vec::new();
            for (place, (is_short, running)) in shards.iter_mut().enumerate() {
                let part = runner.shard(place, *is_short);
                given.push(part.run_to_point(at)?);
                for sums in read..ready {
                    running.given.push_back(part.run_to_sums(sums)?);
                }
            }
            // While the device computes this piece, what came with those before is exchanged.
            for sums in &all[done..read] {
                let mut tree = Tree::default();
                shards.iter_mut().try_for_each(|(_, running)| running.leave(sums, &mut tree, &mut rows))?;
                self.exchange(runner, group, sums, tree, [parts, weights.len()])?;
            }
            (done, read) = (read, ready);
            let values = given.into_iter().map(|pending| Ok(pending.wait()?.f32().to_vec()));
            let values = values.collect::<Result<_, TrainError>>()?;
            let whole = self.timed(runner, || meet(group, point, values, own.start, weights))?;
            for (place, ((is_short, _), values)) in shards.iter().zip(&whole.taken).enumerate() {
                runner.shard(place, *is_short).take_at_point(at, values)?;
            }
            if let Some(running) = &whole.running {
                runner.set_running(at, running)?;
            }
        }
        for (place, (is_short, running)) in shards.iter_mut().enumerate() {
            let part = runner.shard(place, *is_short);
            for sums in read..all.len() {
                running.given.push_back(part.run_to_sums(sums)?);
            }
            part.program.run()?;
        }
        for sums in &all[done..] {
            let mut tree = Tree::default();
            shards.iter_mut().try_for_each(|(_, running)| running.leave(sums, &mut tree, &mut rows))?;
            self.exchange(runner, group, sums, tree, [parts, weights.len()])?;
        }
        Ok(rows)
    }
}
