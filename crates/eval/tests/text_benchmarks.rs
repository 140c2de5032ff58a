//! Figures of the text benchmarks against those of another implementation: rows, rewards and figures are the goldens of
//! `reference/benchmark_goldens.py`.

#![expect(clippy::unwrap_used, reason = "tests and their helpers")]

use std::fs;
use std::path::Path;

use data::raw::parse_json;
use eval::benchmark::{Benchmark, SourceRow};
use eval::benchmarks::named;
use eval::item::Scored;
use serde_json::Value;

/// Sums of shares in double precision differ in the last digits.
const TOLERANCE: f64 = 1e-12;

fn goldens() -> Vec<Value> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/text_benchmarks.json");
    let golden: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    golden["goldens"].as_array().unwrap().clone()
}

fn scored(benchmark: &dyn Benchmark, row: usize, case: &Value) -> Scored {
    let value = parse_json(&case["row"].to_string()).unwrap();
    let file = Path::new(case["file"].as_str().unwrap());
    let source = SourceRow { value: &value, file, image_dir: Path::new(""), number: row + 1 };
    let item = benchmark.read(&source).unwrap();
    let ranks = item.comparison.preference.ranks;
    let rewards = case["rewards"].as_array().unwrap();
    let scores: Vec<f32> = rewards.iter().map(|reward| reward.as_f64().unwrap() as f32).collect();
    assert_eq!(scores.len(), item.comparison.responses.len());
    Scored { row, id: item.comparison.id, labels: item.labels, ranks, scores, ..Scored::default() }
}

#[test]
fn every_figure_equals_that_of_the_reference() {
    let goldens = goldens();
    assert_eq!(goldens.len(), 6);
    for golden in goldens {
        let name = golden["benchmark"].as_str().unwrap();
        let benchmark = named(name).unwrap();
        let cases = golden["cases"].as_array().unwrap().iter().enumerate();
        let rows: Vec<Scored> = cases.map(|(row, case)| scored(benchmark, row, case)).collect();
        let figures = benchmark.measure(&rows.iter().collect::<Vec<_>>());
        let expected = golden["figures"].as_array().unwrap();
        for figure in expected {
            let (section, figure, value) = (
                figure[0].as_str().unwrap(),
                figure[1].as_str().unwrap(),
                figure[2].as_f64().unwrap(),
            );
            let found =
                figures.iter().find(|found| found.section == section && found.name == figure);
            let found =
                found.unwrap_or_else(|| panic!("{name}: no figure `{section}`, `{figure}`"));
            let difference = (found.value.unwrap() - value).abs();
            assert!(
                difference < TOLERANCE,
                "{name}, {section}, {figure}: {:?}, not {value}",
                found.value
            );
        }
        let num_values = figures.iter().filter(|figure| figure.value.is_some()).count();
        assert_eq!(num_values, expected.len(), "{name}: every figure with a value is compared");
    }
}
