//! Losses against hand-computed values and finite differences.

use super::*;

/// Pairs of unequal rank.
fn pairs_of(ranks: &[u32]) -> Vec<(usize, usize)> {
    let all = (0..ranks.len()).flat_map(|w| (0..ranks.len()).map(move |l| (w, l)));
    all.filter(|&(w, l)| ranks[w] < ranks[l]).collect()
}

fn judgment<'a>(pairs: &'a [(usize, usize)], response_tokens: &'a [usize]) -> Judgment<'a> {
    Judgment { pairs, response_tokens, margin: None, soft_label: None }
}

/// The loss in f64, written from the formulas and not from the code, for finite differences.
fn in_f64(rewards: &[f64], judgment: &Judgment<'_>, options: &LossOptions) -> f64 {
    let r: Vec<f64> = rewards
        .iter()
        .zip(judgment.response_tokens)
        .map(
            |(r, &len)| if options.length_normalization { r / (len as f64 + 1.0).ln() } else { *r },
        )
        .collect();
    let pairs = judgment.pairs;
    let n = rewards.len();
    let log_sigmoid = |d: f64| -(1.0 + (-d).exp()).ln();
    let mut sum = 0.0;
    if options.objective == Objective::PlackettLuce && n > 2 {
        let chosen: Vec<usize> = (0..n).filter(|&i| pairs.iter().any(|pair| pair.0 == i)).collect();
        for &i in &chosen {
            let rest: f64 =
                (0..n).filter(|&j| j == i || pairs.contains(&(i, j))).map(|j| r[j].exp()).sum();
            sum -= (r[i].exp() / rest).ln() / chosen.len() as f64;
        }
    } else {
        for &(w, l) in pairs {
            let p =
                judgment.soft_label.map_or(1.0, |p| f64::from(if w == 0 { p } else { 1.0 - p }));
            let eps = f64::from(options.label_smoothing);
            let p = (1.0 - eps) * p + eps * (1.0 - p);
            let m = f64::from(options.margin_coefficient * judgment.margin.unwrap_or(0.0));
            let d = r[w] - r[l] - m;
            sum -= (p * log_sigmoid(d) + (1.0 - p) * log_sigmoid(-d)) / pairs.len() as f64;
        }
    }
    let zero: f64 = pairs.iter().map(|&(w, l)| (r[w] + r[l]).powi(2)).sum();
    sum + f64::from(options.zero_coefficient) * zero / pairs.len() as f64
}

fn check(rewards: &[f32], judgment: &Judgment<'_>, options: &LossOptions) {
    let found = of_comparison(rewards, judgment, options);
    let wide: Vec<f64> = rewards.iter().map(|&r| f64::from(r)).collect();
    let expected = in_f64(&wide, judgment, options);
    assert!((f64::from(found.loss) - expected).abs() < 2e-6, "{} against {expected}", found.loss);
    for i in 0..rewards.len() {
        let step = 1e-5;
        let mut up = wide.clone();
        up[i] += step;
        let mut down = wide.clone();
        down[i] -= step;
        let slope =
            (in_f64(&up, judgment, options) - in_f64(&down, judgment, options)) / (2.0 * step);
        let gradient = f64::from(found.reward_gradients[i]);
        assert!((gradient - slope).abs() < 2e-6, "reward {i}: {gradient} against {slope}");
    }
}

#[test]
fn every_loss_and_its_gradient_equal_formula_and_finite_differences() {
    let every = |objective| {
        let plain = LossOptions { objective, ..LossOptions::default() };
        [
            plain,
            LossOptions { zero_coefficient: 0.1, ..plain },
            LossOptions { length_normalization: true, zero_coefficient: 0.01, ..plain },
        ]
    };
    let lengths = [3, 40, 7, 1];
    for options in every(Objective::AllPairs).into_iter().chain(every(Objective::PlackettLuce)) {
        check(&[0.3, -1.2], &judgment(&pairs_of(&[0, 1]), &lengths[..2]), &options);
        check(&[0.3, -1.2], &judgment(&pairs_of(&[1, 0]), &lengths[..2]), &options);
        check(&[0.5, 0.1, -0.7, 2.0], &judgment(&pairs_of(&[0, 1, 2, 3]), &lengths), &options);
        check(&[0.5, 0.1, -0.7, 2.0], &judgment(&pairs_of(&[0, 2, 1, 1]), &lengths), &options);
        check(&[0.5, 0.1, -0.7, 2.0], &judgment(&pairs_of(&[1, 1, 0, 0]), &lengths), &options);
    }
    let pairs = pairs_of(&[1, 0]);
    let pair = judgment(&pairs, &lengths[..2]);
    let options =
        LossOptions { margin_coefficient: 0.5, label_smoothing: 0.1, ..LossOptions::default() };
    check(&[0.3, 0.4], &Judgment { margin: Some(1.5), ..pair }, &options);
    check(&[0.3, 0.4], &Judgment { soft_label: Some(0.2), ..pair }, &options);
    let pairs = pairs_of(&[0, 2, 1, 1]);
    let every_pair = judgment(&pairs, &lengths);
    check(&[0.3, 0.4, -0.1, 1.0], &Judgment { margin: Some(0.7), ..every_pair }, &options);
}

#[test]
fn a_pair_of_equal_rewards_costs_ln_2() {
    let found =
        of_comparison(&[1.5, 1.5], &judgment(&pairs_of(&[0, 1]), &[1, 1]), &LossOptions::default());
    assert!((found.loss - std::f32::consts::LN_2).abs() < 1e-7);
    assert_eq!(found.reward_gradients, [-0.5, 0.5]);
}

#[test]
fn tied_responses_are_not_set_against_each_other() {
    for objective in [Objective::AllPairs, Objective::PlackettLuce] {
        let options = LossOptions { objective, zero_coefficient: 1.0, ..LossOptions::default() };
        let all_tied = of_comparison(
            &[5.0, -5.0, 1.0],
            &judgment(&pairs_of(&[1, 1, 1]), &[1, 1, 1]),
            &options,
        );
        assert_eq!(all_tied, ComparisonLoss { loss: 0.0, reward_gradients: vec![0.0; 3] });
    }
    let options = LossOptions { objective: Objective::PlackettLuce, ..LossOptions::default() };
    let pairs = pairs_of(&[0, 0, 1]);
    let one = of_comparison(&[5.0, -5.0, 1.0], &judgment(&pairs, &[1, 1, 1]), &options);
    let other = of_comparison(&[-5.0, 5.0, 1.0], &judgment(&pairs, &[1, 1, 1]), &options);
    assert_eq!(one.loss.to_bits(), other.loss.to_bits());
}

#[test]
fn swapping_the_ranks_of_a_pair_flips_the_gradient_of_equal_rewards() {
    let options = LossOptions::default();
    let one = of_comparison(&[0.2, 0.2], &judgment(&pairs_of(&[0, 1]), &[1, 1]), &options);
    let other = of_comparison(&[0.2, 0.2], &judgment(&pairs_of(&[1, 0]), &[1, 1]), &options);
    assert_eq!(one.reward_gradients[0].to_bits(), other.reward_gradients[1].to_bits());
    assert_eq!(one.reward_gradients[0].to_bits(), (-other.reward_gradients[0]).to_bits());
}

#[test]
fn huge_differences_stay_finite_and_exact() {
    let found = of_comparison(
        &[-3e4, 3e4],
        &judgment(&pairs_of(&[0, 1]), &[1, 1]),
        &LossOptions::default(),
    );
    assert_eq!(found.loss.to_bits(), 6e4_f32.to_bits());
    assert_eq!(found.reward_gradients, [-1.0, 1.0]);
    let options = LossOptions { objective: Objective::PlackettLuce, ..LossOptions::default() };
    let ranked =
        of_comparison(&[-3e4, 0.0, 3e4], &judgment(&pairs_of(&[0, 1, 2]), &[1; 3]), &options);
    assert_eq!(ranked.loss.to_bits(), 4.5e4_f32.to_bits());
}

#[test]
fn a_reward_that_is_no_number_makes_a_loss_that_is_none() {
    let pairs = pairs_of(&[0, 1]);
    let one = judgment(&pairs, &[1, 1]);
    assert!(of_comparison(&[f32::NAN, 0.0], &one, &LossOptions::default()).loss.is_nan());
}
