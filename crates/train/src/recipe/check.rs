//! What types cannot say about a recipe: ranges, and keys that exclude or need each other.

use ::recipe::Fault;

use super::{
    AdamWRecipe, HeadRecipe, LossRecipe, ModelRecipe, ObjectiveRecipe, OptimizerRecipe, Recipe,
    ScheduleRecipe,
};
use model::config::{Activation, MAX_HEAD_LAYERS, ScorePosition};

type Checked = Result<(), Fault>;

fn require(holds: bool, key: &str, reason: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(Fault { key: key.to_owned(), reason: reason() }) }
}

fn number(key: &str, value: f64, holds: bool, range: &str) -> Checked {
    require(holds && value.is_finite(), key, || format!("is `{value}`; give {range}"))
}

fn at_least_one(key: &str, value: usize) -> Checked {
    require(value > 0, key, || "is `0`; give at least 1".to_owned())
}

impl ::recipe::Recipe for Recipe {
    fn check(&self) -> Checked {
        self.check_model()?;
        self.check_data()?;
        check_loss(&self.loss)?;
        self.check_trainable()?;
        let OptimizerRecipe::Adamw(adamw) = &self.optimizer;
        check_adamw(adamw)?;
        self.check_schedule()?;
        self.check_run()
    }
}

impl Recipe {
    fn check_model(&self) -> Checked {
        match &self.model {
            ModelRecipe::Folder(folder) => {
                folder.head.as_ref().map_or(Ok(()), |head| check_head("model.folder.head", head))
            }
            ModelRecipe::Random(random) => check_head("model.random.head", &random.head),
        }
    }

    fn check_data(&self) -> Checked {
        let data = &self.data;
        require(!data.train.is_empty(), "data.train", || {
            "is empty; name at least one file".to_owned()
        })?;
        let fraction = data.validation_fraction;
        number(
            "data.validation_fraction",
            fraction,
            (0.0..1.0).contains(&fraction),
            "a number from 0 to below 1",
        )?;
        require(data.validation.is_empty() || fraction == 0.0, "data.validation_fraction", || {
            format!("is `{fraction}`, but `data.validation` names files; give one of them")
        })?;
        at_least_one("data.max_tokens", data.max_tokens)?;
        let range = data.min_pixels.zip(data.max_pixels);
        require(range.is_none_or(|(min, max)| min <= max), "data.min_pixels", || {
            "is above `data.max_pixels`; lower the one or raise the other".to_owned()
        })
    }

    fn check_trainable(&self) -> Checked {
        let parts = &self.trainable;
        require(!parts.head.frozen, "trainable.head.frozen", || {
            "is `true`, but the head is always trained; remove it".to_owned()
        })?;
        for (name, part) in [
            ("vision", &parts.vision),
            ("merger", &parts.merger),
            ("language", &parts.language),
            ("head", &parts.head),
        ] {
            let key = format!("trainable.{name}.learning_rate");
            if let Some(rate) = part.learning_rate {
                number(&key, rate, rate > 0.0, "a number above 0")?;
                require(!part.frozen, &key, || {
                    format!("is `{rate}`, but the part is frozen; remove one of them")
                })?;
            }
        }
        let Some(lora) = &self.lora else { return Ok(()) };
        at_least_one("lora.rank", lora.rank)?;
        if let Some(alpha) = lora.alpha {
            number("lora.alpha", alpha, alpha > 0.0, "a number above 0")?;
        }
        require(!lora.targets.is_empty(), "lora.targets", || {
            "is empty; name at least one linear layer, such as `q_proj`".to_owned()
        })
    }

    fn check_schedule(&self) -> Checked {
        let (name, warmup, floor) = match &self.schedule {
            ScheduleRecipe::Constant(one) => ("constant", one.warmup_fraction, 0.0),
            ScheduleRecipe::Linear(one) => ("linear", one.warmup_fraction, one.floor),
            ScheduleRecipe::Cosine(one) => ("cosine", one.warmup_fraction, one.floor),
        };
        let unit = 0.0..=1.0;
        for (key, value) in [("warmup_fraction", warmup), ("floor", floor)] {
            let key = format!("schedule.{name}.{key}");
            number(&key, value, unit.contains(&value), "a number from 0 to 1")?;
        }
        Ok(())
    }

    fn check_run(&self) -> Checked {
        let run = &self.run;
        require(run.steps.is_some() != run.epochs.is_some(), "run.steps", || {
            "is the length of the run, as is `run.epochs`; give exactly one of them".to_owned()
        })?;
        require(run.steps != Some(0), "run.steps", || "is `0`; give at least 1".to_owned())?;
        if let Some(epochs) = run.epochs {
            number("run.epochs", epochs, epochs > 0.0, "a number above 0")?;
        }
        at_least_one("run.comparisons_per_step", run.comparisons_per_step)?;
        at_least_one("run.tokens_per_batch", run.tokens_per_batch)?;
        at_least_one("run.keep_last_checkpoints", run.keep_last_checkpoints)?;
        at_least_one("run.prefetch_steps", run.prefetch_steps)
    }
}

fn check_head(key: &str, head: &HeadRecipe) -> Checked {
    let layers = head.num_layers;
    require((1..=MAX_HEAD_LAYERS).contains(&layers), &format!("{key}.num_layers"), || {
        format!("is `{layers}`; give 1 to {MAX_HEAD_LAYERS}")
    })?;
    let activation = &head.activation;
    require(activation.parse::<Activation>().is_ok(), &format!("{key}.activation"), || {
        format!("is `{activation}`; give `none`, `relu`, `silu`, `tanh` or `gelu`")
    })?;
    let position = &head.position;
    require(position.parse::<ScorePosition>().is_ok(), &format!("{key}.position"), || {
        format!("is `{position}`; give `end_of_turn` or `last_token`")
    })?;
    require(head.hidden_size != Some(0), &format!("{key}.hidden_size"), || {
        "is `0`; give at least 1".to_owned()
    })
}

fn check_loss(loss: &LossRecipe) -> Checked {
    for (key, value) in [
        ("loss.margin_coefficient", loss.margin_coefficient),
        ("loss.zero_coefficient", loss.zero_coefficient),
    ] {
        number(key, value, value >= 0.0, "a number from 0 up")?;
    }
    let smoothing = loss.label_smoothing;
    number(
        "loss.label_smoothing",
        smoothing,
        (0.0..0.5).contains(&smoothing),
        "a number from 0 to below 0.5",
    )?;
    let ranked = loss.objective == ObjectiveRecipe::PlackettLuce;
    for (key, value) in [
        ("loss.margin_coefficient", loss.margin_coefficient),
        ("loss.label_smoothing", loss.label_smoothing),
    ] {
        require(!ranked || value == 0.0, key, || {
            format!("is `{value}`, which `plackett_luce` has no place for; use `all_pairs`, or 0")
        })?;
    }
    Ok(())
}

fn check_adamw(adamw: &AdamWRecipe) -> Checked {
    let key = |name: &str| format!("optimizer.adamw.{name}");
    let rate = adamw.learning_rate;
    number(&key("learning_rate"), rate, rate > 0.0, "a number above 0")?;
    for (name, value) in [("beta1", adamw.beta1), ("beta2", adamw.beta2)] {
        number(&key(name), value, (0.0..1.0).contains(&value), "a number from 0 to below 1")?;
    }
    number(&key("epsilon"), adamw.epsilon, adamw.epsilon > 0.0, "a number above 0")?;
    for (name, value) in
        [("weight_decay", adamw.weight_decay), ("max_gradient_norm", adamw.max_gradient_norm)]
    {
        number(&key(name), value, value >= 0.0, "a number from 0 up")?;
    }
    Ok(())
}
