//! Learning-rate schedules as factors of the peak rate. No state: a step's factor depends on its number only.

/// Shape of the learning rate over a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    /// Course after the warm-up.
    pub decay: Decay,
    /// Steps in which the rate rises to its peak.
    pub warmup_steps: u64,
    /// Steps of the whole run.
    pub total_steps: u64,
    /// Factor that the rate falls to, 0 to 1. Means nothing for [`Decay::Constant`].
    pub floor: f64,
}

/// Course of the learning rate after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decay {
    /// Stays at its peak.
    Constant,
    /// Falls in a straight line.
    Linear,
    /// Falls along half a cosine.
    Cosine,
}

impl Schedule {
    /// Factor for step `step`, counted from 0.
    ///
    /// Step `s` of a warm-up of `w` steps has `(s + 1) / w`. After it, with `t = (s + 1 − w) / (total − w)`, linear has
    /// `floor + (1 − floor)(1 − t)` and cosine `floor + (1 − floor) · ½(1 + cos πt)`; the last step has the floor. Steps after
    /// the last keep the floor.
    pub fn factor(&self, step: u64) -> f64 {
        let done = step + 1;
        if done <= self.warmup_steps {
            return done as f64 / self.warmup_steps as f64;
        }
        let rest = self.total_steps.saturating_sub(self.warmup_steps).max(1);
        let t = ((done - self.warmup_steps) as f64 / rest as f64).min(1.0);
        let fall = match self.decay {
            Decay::Constant => return 1.0,
            Decay::Linear => 1.0 - t,
            Decay::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * t).cos()),
        };
        self.floor + (1.0 - self.floor) * fall
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(decay: Decay) -> Schedule {
        Schedule { decay, warmup_steps: 4, total_steps: 12, floor: 0.1 }
    }

    #[test]
    fn warm_up_rises_in_equal_steps_to_the_peak() {
        for decay in [Decay::Constant, Decay::Linear, Decay::Cosine] {
            let found: Vec<f64> = (0..4).map(|step| schedule(decay).factor(step)).collect();
            assert_eq!(found, [0.25, 0.5, 0.75, 1.0]);
        }
    }

    #[test]
    fn decays_meet_their_middle_and_end_at_the_floor() {
        let near = |a: f64, b: f64| (a - b).abs() < 1e-12;
        assert!(near(schedule(Decay::Linear).factor(7), 0.55));
        assert!(near(schedule(Decay::Cosine).factor(7), 0.55));
        assert!(near(schedule(Decay::Linear).factor(5), 0.1 + 0.9 * 0.75));
        let quarter = 0.5 * (1.0 + std::f64::consts::FRAC_1_SQRT_2);
        assert!(near(schedule(Decay::Cosine).factor(5), 0.1 + 0.9 * quarter));
        for decay in [Decay::Linear, Decay::Cosine] {
            assert!(near(schedule(decay).factor(11), 0.1));
            assert!(near(schedule(decay).factor(1000), 0.1));
        }
        assert_eq!(schedule(Decay::Constant).factor(11).to_bits(), 1.0_f64.to_bits());
    }

    #[test]
    fn a_run_without_warm_up_or_shorter_than_it_has_factors_too() {
        let none = Schedule { warmup_steps: 0, ..schedule(Decay::Linear) };
        assert!((none.factor(0) - (0.1 + 0.9 * 11.0 / 12.0)).abs() < 1e-12);
        let short = Schedule { total_steps: 2, ..schedule(Decay::Linear) };
        assert_eq!(short.factor(1).to_bits(), 0.5_f64.to_bits());
        assert!(short.factor(4).is_finite());
    }
}
