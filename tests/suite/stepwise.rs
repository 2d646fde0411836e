//! A run that is driven step by step is the run of a trainer.

use std::path::Path;
use tilewright::checkpoint::{Checkpoint, load_checkpoint};
use tilewright::data::LoadOptions;
use tilewright::recipe::TrainConfig;
use tilewright::session::Device;
use tilewright::train::{Silent, Stepwise, Trainer};

/// Two epochs of 34 images in batches of 12, so that each ends with a shorter one, changed at random.
fn recipe() -> TrainConfig {
    let mut recipe = TrainConfig::for_model("lenet5").unwrap();
    recipe.data = "synthetic:1x28x28:2:34".parse().unwrap();
    (recipe.epochs, recipe.batch) = (2, 12);
    recipe
}

fn drive(recipe: &TrainConfig, most: u64) -> (Vec<f32>, Checkpoint) {
    pollster::block_on(async {
        let splits = recipe.data.load(&LoadOptions::default()).unwrap();
        let mut run = Stepwise::new(splits, recipe.clone(), &Device::reference()).await.unwrap();
        let mut losses = Vec::new();
        while !run.is_over() {
            let steps = run.steps(most).await.unwrap();
            assert!(!steps.is_empty() && steps.len() as u64 <= most);
            losses.extend(steps.iter().map(|step| step.loss));
        }
        assert!(run.steps(most).await.unwrap().is_empty(), "nothing is left");
        run.evaluate().await.unwrap();
        (losses, run.checkpoint().await.unwrap())
    })
}

#[test]
fn a_run_that_is_driven_step_by_step_has_the_bits_of_a_trainers() {
    let folder = tempfile::tempdir().unwrap();
    for (name, micro_batch) in [("whole", None), ("parts", Some(4))] {
        let recipe = TrainConfig { micro_batch, ..recipe() };
        let path = folder.path().join(name);
        let outcome = Trainer::create(recipe.clone(), &Device::reference(), Some(&path)).unwrap().run(&mut Silent);
        let trained = load_checkpoint(&path.join("checkpoint.safetensors")).unwrap();
        let (losses, driven) = drive(&recipe, 16);
        assert_eq!(losses.len(), 6, "three steps in each epoch");
        assert_eq!(driven.tensors, trained.tensors, "{name}");
        let (own, theirs) = (driven.header.progress, trained.header.progress);
        assert_eq!((own.step, own.loss_sum, own.test_loss), (theirs.step, theirs.loss_sum, theirs.test_loss));
        assert_eq!(own.test_accuracy, outcome.unwrap().test.unwrap().top1);
        let (one_by_one, _) = drive(&recipe, 1);
        assert_eq!(one_by_one, losses, "{name}: how many at a time changes nothing");
    }
}

#[test]
fn its_weights_go_through_the_bytes_of_a_checkpoint() {
    let (_, checkpoint) = drive(&recipe(), 16);
    let file = Path::new("page.safetensors");
    let read = Checkpoint::from_bytes(file, &checkpoint.to_bytes(file).unwrap()).unwrap();
    assert_eq!(read.tensors, checkpoint.tensors);
    pollster::block_on(async {
        let splits = recipe().data.load(&LoadOptions::default()).unwrap();
        let image = splits.test.image(0).unwrap().to_vec();
        let mut run = Stepwise::new(splits, TrainConfig { seed: 5, ..recipe() }, &Device::reference()).await.unwrap();
        let before = run.logits(&image).await.unwrap();
        run.take_weights(&read, file).unwrap();
        let name = &run.tensors()[0].0;
        assert_eq!(run.session().get(name).unwrap(), read.tensors[name].1);
        assert_ne!(run.logits(&image).await.unwrap(), before);
    });
}

#[test]
fn what_it_does_not_have_is_refused_by_its_name() {
    let splits = || recipe().data.load(&LoadOptions::default()).unwrap();
    let mut averaged = recipe();
    averaged.average = Some("ema".parse().unwrap());
    let refused = pollster::block_on(Stepwise::new(splits(), averaged, &Device::reference()));
    let told = refused.map(|_| ()).unwrap_err().to_string();
    assert!(told.contains("average") && told.contains("step by step"), "{told}");
}
