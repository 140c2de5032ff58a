//! Tests only: what holds for the figures of every text benchmark, whatever the rewards are.

use proptest::prelude::*;

use super::named;
use super::testing::{figure, is_close, measure, scored, shifted, swapped};
use crate::benchmark::Benchmark;
use crate::figure::Figure;
use crate::item::Scored;

/// Benchmarks of pairs, with a category of each and the subset that goes with it.
const PAIRS: [(&str, [(&str, &str); 4]); 4] = [
    (
        "rewardbench",
        [
            ("Chat", "mt-bench-easy"),
            ("Chat Hard", "llmbar-natural"),
            ("Safety", "donotanswer"),
            ("Reasoning", "hep-go"),
        ],
    ),
    (
        "judgebench",
        [
            ("mmlu-pro", "mmlu-pro-law"),
            ("livebench-reasoning", "livebench-reasoning"),
            ("livebench-math", "livebench-math"),
            ("livecodebench", "livecodebench"),
        ],
    ),
    (
        "rmb-pairwise",
        [
            ("Helpfulness", "Helpfulness/Chat/Discussion"),
            ("Helpfulness", "Helpfulness/Code/Documentation"),
            ("Harmlessness", "Harmlessness/S1"),
            ("Harmlessness", "Harmlessness/S2"),
        ],
    ),
    ("llmbar", [("Natural", ""), ("Neighbor", ""), ("GPTInst", ""), ("Manual", "")]),
];

fn of(name: &str) -> &'static dyn Benchmark {
    named(name).unwrap()
}

/// Rewards that are whole numbers, so that adding one to all of them rounds nothing.
fn rewards(len: usize) -> impl Strategy<Value = Vec<f32>> {
    prop::collection::vec((-4_i8..=4).prop_map(f32::from), len)
}

/// Rows of the benchmark with the number `which`, each with two rewards.
fn rows_of_pairs(which: usize, rewards: &[(usize, Vec<f32>)]) -> Vec<Scored> {
    let row = |(kind, scores): &(usize, Vec<f32>)| {
        let (category, subset) = PAIRS[which].1[*kind];
        scored(category, subset, &[0, 1], scores)
    };
    rewards.iter().map(row).collect()
}

/// Rows of RewardBench 2: some best of four, some of Ties in both kinds.
fn rows_of_rewardbench_2(rewards: &[(usize, Vec<f32>)]) -> Vec<Scored> {
    let row = |(index, (kind, scores)): (usize, &(usize, Vec<f32>))| match kind {
        0 => scored("Math", "", &[0, 1, 1, 1], &scores[..4]),
        1 => scored("Focus", "", &[0, 1, 1, 1], &scores[..4]),
        _ => {
            let (kind, ranks) = if index % 2 == 0 {
                ("ref", [0, 1, 1, 1, 1, 1])
            } else {
                ("tied", [0, 0, 0, 1, 1, 1])
            };
            let mut row = scored("Ties", kind, &ranks, scores);
            row.labels.group = format!("Ties {}", index / 2);
            row
        }
    };
    rewards.iter().enumerate().map(row).collect()
}

fn rows_of_rm_bench(rewards: &[(usize, Vec<f32>)]) -> Vec<Scored> {
    let domains = [
        ("chat", "chat"),
        ("math", "math"),
        ("safety", "safety-refuse"),
        ("safety", "safety-response"),
    ];
    let row = |(kind, scores): &(usize, Vec<f32>)| {
        scored(domains[*kind].0, domains[*kind].1, &[0, 0, 0, 1, 1, 1], scores)
    };
    rewards.iter().map(row).collect()
}

fn right_and_total(figures: &[Figure], section: &str, name: &str) -> (f64, u64) {
    let figure = figure(figures, section, name);
    (figure.num_right.unwrap(), figure.num_total)
}

/// Sum of fractions over figures of a section.
fn summed<'a>(figures: impl Iterator<Item = &'a Figure>) -> (f64, u64) {
    figures.fold((0.0, 0), |(right, total), figure| {
        (right + figure.num_right.unwrap(), total + figure.num_total)
    })
}

proptest! {
    #[test]
    fn adding_a_number_to_all_rewards_changes_nothing(
        which in 0..PAIRS.len(),
        two in prop::collection::vec((0_usize..4, rewards(2)), 1..40),
        six in prop::collection::vec((0_usize..4, rewards(6)), 1..40),
        by in -8_i8..=8,
    ) {
        for (benchmark, rows) in [
            (of(PAIRS[which].0), rows_of_pairs(which, &two)),
            (of("rewardbench-2"), rows_of_rewardbench_2(&six)),
            (of("rm-bench"), rows_of_rm_bench(&six)),
        ] {
            let moved = shifted(&rows, f32::from(by));
            prop_assert_eq!(measure(benchmark, &rows), measure(benchmark, &moved));
        }
    }

    #[test]
    fn the_order_of_the_rows_changes_no_count(
        six in prop::collection::vec((0_usize..4, rewards(6)), 1..40),
    ) {
        for (benchmark, rows) in [
            (of("rewardbench-2"), rows_of_rewardbench_2(&six)),
            (of("rm-bench"), rows_of_rm_bench(&six)),
        ] {
            let mut turned = rows.clone();
            turned.reverse();
            for (first, second) in measure(benchmark, &rows).iter().zip(measure(benchmark, &turned)) {
                prop_assert_eq!((&first.name, first.num_total, first.num_ties), (&second.name, second.num_total, second.num_ties));
                prop_assert!(is_close(first.value.unwrap_or(-1.0), second.value.unwrap_or(-1.0)));
            }
        }
    }

    #[test]
    fn what_is_no_tie_is_right_or_right_when_swapped(
        which in 0..PAIRS.len(),
        two in prop::collection::vec((0_usize..4, rewards(2)), 1..40),
    ) {
        let rows = rows_of_pairs(which, &two);
        let (there, back) = (measure(of(PAIRS[which].0), &rows), measure(of(PAIRS[which].0), &swapped(&rows)));
        for (first, second) in there.iter().zip(&back) {
            if let (Some(right), Some(swapped)) = (first.num_right, second.num_right) {
                prop_assert_eq!(first.num_ties, second.num_ties);
                prop_assert_eq!((right + swapped) as u64 + first.num_ties, first.num_total);
            }
        }
    }

    #[test]
    fn wins_and_losses_and_ties_are_all_comparisons_of_rm_bench(
        six in prop::collection::vec((0_usize..4, rewards(6)), 1..40),
    ) {
        let rows = rows_of_rm_bench(&six);
        // The lists change places, so that a win of a plain over a styled response is one of a styled over a plain one.
        let exchanged: Vec<_> = rows.iter().cloned().map(|mut row| { row.scores.rotate_left(3); row }).collect();
        let (there, back) = (measure(of("rm-bench"), &rows), measure(of("rm-bench"), &exchanged));
        for name in ["chat", "math", "safety"] {
            let (first, second) = (figure(&there, "official", name), figure(&back, "official", name));
            let sum = first.num_right.unwrap() + second.num_right.unwrap();
            prop_assert_eq!(sum as u64 + first.num_ties, first.num_total);
        }
        for (hard, easy) in [("hard", "easy"), ("normal", "normal"), ("easy", "hard")] {
            let (first, second) = (figure(&there, "official", hard), figure(&back, "official", easy));
            prop_assert_eq!(first.num_ties, second.num_ties);
        }
    }

    #[test]
    fn categories_add_up_to_the_whole(
        two in prop::collection::vec((0_usize..4, rewards(2)), 1..40),
        six in prop::collection::vec((0_usize..4, rewards(6)), 1..40),
    ) {
        let judged = measure(of("judgebench"), &rows_of_pairs(1, &two));
        prop_assert_eq!(right_and_total(&judged, "official", "Overall"), summed(judged[1..].iter()));

        let rmb = measure(of("rmb-pairwise"), &rows_of_pairs(2, &two));
        let whole = right_and_total(&rmb, "official", "Overall");
        let goals = ["Helpfulness", "Harmlessness"].map(|name| figure(&rmb, "official", name));
        prop_assert_eq!(whole, summed(goals.into_iter()));
        prop_assert_eq!(whole, summed(rmb.iter().filter(|figure| figure.section == "scenarios")));

        let styles = measure(of("rm-bench"), &rows_of_rm_bench(&six));
        let domains = ["chat", "math", "code", "safety"].map(|name| figure(&styles, "official", name));
        let by_difficulty = styles.iter().filter(|figure| figure.section == "domains by difficulty");
        prop_assert_eq!(summed(domains.into_iter()), summed(by_difficulty));
        prop_assert_eq!(summed(domains.into_iter()).1, 9 * six.len() as u64);
        let safety = styles.iter().filter(|figure| figure.section == "parts of safety");
        prop_assert_eq!(summed(safety), right_and_total(&styles, "official", "safety"));
    }

    #[test]
    fn the_mean_of_domains_is_the_mean_of_difficulties(
        six in prop::collection::vec((0_usize..4, rewards(6)), 1..40),
    ) {
        let figures = measure(of("rm-bench"), &rows_of_rm_bench(&six));
        let difficulties = ["hard", "normal", "easy"].map(|name| figure(&figures, "official", name).value.unwrap());
        prop_assert!(is_close(figures[0].value.unwrap(), difficulties.iter().sum::<f64>() / 3.0));
    }

    #[test]
    fn the_score_of_ties_is_at_least_minus_one_hundredth_and_at_most_one_hundredth_above_one(
        six in prop::collection::vec((2_usize..4, rewards(6)), 2..40),
    ) {
        let figures = measure(of("rewardbench-2"), &rows_of_rewardbench_2(&six));
        let score = figure(&figures, "official", "Ties").value.unwrap();
        prop_assert!((-0.01..=1.01).contains(&score), "{}", score);
    }
}
