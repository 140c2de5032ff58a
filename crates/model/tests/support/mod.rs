//! Running a model beside the goldens of the reference: shared by the tests and the `parity` example.

use engine::{DType, Device, Matrix};
use model::{Observer, RewardModel};
use prompt::{Encoded, Processor, ProcessorOptions, Row};
use std::collections::BTreeMap;
use std::path::Path;
use testkit::{Case, Difference, Goldens, Stage, compare};

/// A model with its processor.
pub(crate) struct Loaded {
    pub(crate) model: RewardModel,
    pub(crate) processor: Processor,
}

pub(crate) fn load(folder: &Path, device: &Device, dtype: DType) -> Loaded {
    let model = RewardModel::load(folder, device, dtype).unwrap_or_else(|error| panic!("{error}"));
    let processor = Processor::load(folder, model.vision_tokens(), ProcessorOptions::default())
        .unwrap_or_else(|error| panic!("{error}"));
    Loaded { model, processor }
}

/// The conversations of a case, encoded.
pub(crate) fn encode(loaded: &Loaded, goldens: &Goldens, case: &Case) -> Vec<Encoded> {
    let line = case.row.to_string();
    let row = Row::parse(&line, 1, &goldens.folder).unwrap_or_else(|error| panic!("{error}"));
    let conversations = row.conversations().unwrap_or_else(|error| panic!("{error}"));
    loaded.processor.encode_all(&conversations).unwrap_or_else(|error| panic!("{error}"))
}

/// Stages by name; a repeated name is the next visual's.
#[derive(Default)]
pub(crate) struct Recorder {
    pub(crate) stages: BTreeMap<String, Vec<Vec<f32>>>,
}

impl Observer for Recorder {
    fn stage(&mut self, name: &str, value: &Matrix) {
        self.stages.entry(name.to_owned()).or_default().push(value.to_f32());
    }
}

/// Ids, positions and grids must be equal, and pixels within two levels.
pub(crate) fn check_encoding(goldens: &Goldens, case: &Case, encoded: &[Encoded]) {
    let name = &case.name;
    assert_eq!(encoded.len(), case.responses.len(), "{name}: responses");
    for (encoded, expected) in encoded.iter().zip(&case.responses) {
        assert_eq!(encoded.token_ids, expected.token_ids, "{name}: token ids");
        assert_eq!(encoded.position_ids, expected.position_ids, "{name}: positions");
        assert_eq!(encoded.end_of_turn, expected.positions.end_of_turn, "{name}: end of turn");
        let grids: Vec<[usize; 3]> = encoded.visuals.iter().map(|visual| visual.grid).collect();
        assert_eq!(grids, case.grids, "{name}: grids");
    }
    for (index, visual) in encoded[0].visuals.iter().enumerate() {
        let Some(pixels) = goldens.stages.get(&format!("{name}.visual.{index}.pixels")) else {
            continue;
        };
        let got: Vec<f32> = visual.pixels.iter().map(|&byte| f32::from(byte)).collect();
        let difference = compare(&got, &pixels.values);
        assert!(difference.max_abs <= 2.0, "{name}: pixels of visual {index}: {difference:?}");
    }
}

/// Every stage of a case that the goldens hold, with its distance, in the order of the forward pass.
pub(crate) fn stage_differences(
    loaded: &Loaded,
    goldens: &Goldens,
    case: &Case,
    encoded: &[Encoded],
) -> Vec<(String, Difference)> {
    let mut differences = Vec::new();
    for (index, (encoded, expected)) in encoded.iter().zip(&case.responses).enumerate() {
        let mut recorder = Recorder::default();
        let both = [encoded, encoded];
        let tokens = [expected.positions.end_of_turn, expected.positions.last_token];
        let rewards =
            loaded.model.score_at(&both, &tokens, &mut recorder).unwrap_or_else(|e| panic!("{e}"));
        recorder.stages.insert("rewards".to_owned(), vec![rewards]);
        if index == 0 {
            visual_differences(goldens, case, encoded, &recorder, &mut differences);
        }
        let prefix = format!("{}.{index}.", case.name);
        for (name, golden) in in_order(goldens, &prefix) {
            let Some(got) = recorder.stages.get(&name[prefix.len()..]) else { continue };
            differences.push((name.clone(), compare(&got[0], &golden.values)));
        }
    }
    differences
}

fn visual_differences(
    goldens: &Goldens,
    case: &Case,
    encoded: &Encoded,
    recorder: &Recorder,
    differences: &mut Vec<(String, Difference)>,
) {
    // A picture that appears twice is computed once: place of each visual among the distinct ones.
    let mut distinct: Vec<[u8; 32]> = Vec::new();
    for (index, visual) in encoded.visuals.iter().enumerate() {
        let place = distinct.iter().position(|hash| *hash == visual.hash).unwrap_or_else(|| {
            distinct.push(visual.hash);
            distinct.len() - 1
        });
        let prefix = format!("{}.visual.{index}.", case.name);
        for (name, golden) in in_order(goldens, &prefix) {
            let stage = &name[prefix.len()..];
            let Some(got) = recorder.stages.get(&format!("vision.{stage}")) else { continue };
            let expected = if stage == "patch_embed" {
                in_window_order(golden, goldens.stage(&format!("{prefix}window_index")))
            } else {
                golden.values.clone()
            };
            differences.push((name.clone(), compare(&got[place], &expected)));
        }
    }
}

/// Goldens with a prefix, numbered stages by number.
fn in_order<'a>(goldens: &'a Goldens, prefix: &str) -> Vec<(&'a String, &'a Stage)> {
    let mut stages: Vec<_> =
        goldens.stages.iter().filter(|(name, _)| name.starts_with(prefix)).collect();
    let rank = |name: &str| {
        let order =
            ["patch_embed", "blocks", "merged", "inputs_embeds", "layers", "norm", "rewards"];
        let place = order.iter().position(|stage| name.contains(stage)).unwrap_or(order.len());
        let number = name.rsplit('.').next().and_then(|last| last.parse::<usize>().ok());
        (place, number)
    };
    stages.sort_by_key(|(name, _)| rank(name));
    stages
}

/// Rows of patches in reading order brought to window order.
fn in_window_order(golden: &Stage, window_index: &Stage) -> Vec<f32> {
    let groups = window_index.values.len();
    let group_len = golden.values.len() / groups;
    window_index
        .values
        .iter()
        .flat_map(|&group| &golden.values[group as usize * group_len..][..group_len])
        .copied()
        .collect()
}

/// Rewards of every response at the end of turn and at the last token, all in one call.
pub(crate) fn rewards_at_both(loaded: &Loaded, case: &Case, encoded: &[Encoded]) -> Vec<f32> {
    let conversations: Vec<&Encoded> = encoded.iter().flat_map(|one| [one, one]).collect();
    let tokens: Vec<usize> = case
        .responses
        .iter()
        .flat_map(|expected| [expected.positions.end_of_turn, expected.positions.last_token])
        .collect();
    loaded
        .model
        .score_at(&conversations, &tokens, &mut Recorder::default())
        .unwrap_or_else(|error| panic!("{error}"))
}

/// Root mean square distance of rewards to the f32 reference: ours in the loaded type, and the reference's own in bf16.
pub(crate) fn bf16_distances(loaded: &Loaded, goldens: &Goldens) -> (f64, f64) {
    let (mut ours, mut theirs, mut count) = (0.0, 0.0, 0.0);
    for case in &goldens.cases {
        let encoded = encode(loaded, goldens, case);
        let rewards = rewards_at_both(loaded, case, &encoded);
        for (pair, expected) in rewards.chunks_exact(2).zip(&case.responses) {
            let reference = [expected.rewards.end_of_turn, expected.rewards.last_token];
            let bf16 = [expected.rewards_bf16.end_of_turn, expected.rewards_bf16.last_token];
            for i in 0..2 {
                ours += f64::from(pair[i] - reference[i]).powi(2);
                theirs += f64::from(bf16[i] - reference[i]).powi(2);
                count += 1.0;
            }
        }
    }
    ((ours / count).sqrt(), (theirs / count).sqrt())
}
