//! The f32 masters of trained parameters, and their way into the layers.

use engine::{
    DType, Device, GatedLinear, Linear, Link, LowRank, Matrix, ParameterId, Recompute, RmsNorm,
    RowSource, Trainable,
};
use half::bf16;
use std::collections::HashMap;
use std::sync::Arc;

use crate::checkpoint::{Checkpoint, Tensor};
use crate::error::LoadError;
use crate::head;
use crate::head_layout::{HeadLayer, HeadTensors};
use crate::reward_model::RewardModel;
use crate::weights::{LayerMut, Module, Named};

/// A group of parameters that can have its own learning rate or stay frozen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// The vision tower without its merger.
    Vision,
    /// The projection of patches to tokens.
    Merger,
    /// The decoder with its embeddings.
    Language,
    /// The reward head.
    Head,
}

impl Part {
    /// Every part.
    pub const ALL: [Self; 4] = [Self::Vision, Self::Merger, Self::Language, Self::Head];

    /// Name as recipes and metrics have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Vision => "vision",
            Self::Merger => "merger",
            Self::Language => "language",
            Self::Head => "head",
        }
    }

    /// The part of a tensor or module by its canonical name.
    pub fn of(name: &str) -> Self {
        if name.starts_with("model.visual.merger.") {
            Self::Merger
        } else if name.starts_with("model.visual.") {
            Self::Vision
        } else if name.starts_with("model.language_model.") {
            Self::Language
        } else {
            Self::Head
        }
    }
}

/// What is trained, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainingOptions {
    /// Parts that are not frozen; the head never is. With LoRA, those whose modules are adapted.
    pub parts: Vec<Part>,
    /// Low-rank additions instead of whole weights, outside of the head.
    pub lora: Option<LoraOptions>,
    /// What is computed again in the backward pass instead of kept.
    pub recompute: Recompute,
    /// Decides the first values of low-rank additions.
    pub seed: u64,
}

/// Low-rank additions `alpha / rank · B · A`.
#[derive(Clone, Debug, PartialEq)]
pub struct LoraOptions {
    /// Rows of A, columns of B.
    pub rank: usize,
    /// Scale, before the division by the rank.
    pub alpha: f32,
    /// Last components of the names of the adapted modules, such as `q_proj`.
    pub targets: Vec<String>,
}

/// One trained matrix, or a vector as a matrix of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParameterInfo {
    /// Canonical name of the tensor; `{module}.lora_A.weight` and `{module}.lora_B.weight` for low-rank additions.
    pub name: String,
    /// Outputs; 1 for a vector.
    pub rows: usize,
    /// Inputs, all dimensions but the first; the length of a vector.
    pub cols: usize,
    /// The group it belongs to.
    pub part: Part,
}

/// All masters by id.
#[derive(Debug)]
pub(super) struct Masters {
    pub(super) infos: Vec<ParameterInfo>,
    /// Shared with the layers that hold them as they are.
    pub(super) values: Vec<Arc<Matrix>>,
    /// Those that are looked up by rows.
    pub(super) tables: Vec<ParameterId>,
    pub(super) by_name: HashMap<String, ParameterId>,
    pub(super) lora_scale: f32,
}

impl Masters {
    /// Finds what the options train, reads the masters, and tells the layers.
    pub(super) fn new(
        model: &mut RewardModel,
        checkpoint: &Checkpoint,
        head: &HeadTensors,
        options: &TrainingOptions,
    ) -> Result<Self, LoadError> {
        let lora_scale = options.lora.as_ref().map_or(0.0, |lora| lora.alpha / lora.rank as f32);
        let masters = Self {
            infos: Vec::new(),
            values: Vec::new(),
            tables: Vec::new(),
            by_name: HashMap::new(),
            lora_scale,
        };
        let mut linker = Linker { masters, checkpoint, head, options };
        for layer in model.layers_mut() {
            match layer {
                LayerMut::Norm(norm) => {
                    let parameter = linker.whole(&norm.modules[0])?;
                    norm.layer.set_parameter(parameter);
                }
                LayerMut::Table(table) => {
                    let parameter = linker.whole(&table.modules[0])?;
                    table.layer.set_parameter(parameter);
                    linker.masters.tables.extend(parameter);
                }
                LayerMut::Linear(linear) => {
                    let links = linker.links(&linear.modules)?;
                    linear.layer.set_links(links);
                }
                LayerMut::Gated(gated) => {
                    let links = linker.links(&gated.modules)?;
                    gated.layer.set_links(links);
                }
            }
        }
        let masters = linker.masters;
        masters.check(options)?;
        Ok(masters)
    }

    fn check(&self, options: &TrainingOptions) -> Result<(), LoadError> {
        let Some(lora) = &options.lora else { return Ok(()) };
        for target in &lora.targets {
            let suffix = format!(".{target}.lora_A.weight");
            if !self.infos.iter().any(|info| info.name.ends_with(&suffix)) {
                return Err(LoadError::UnknownLoraTarget { target: target.clone() });
            }
        }
        Ok(())
    }

    pub(super) fn get(&self, name: &str) -> Option<&Matrix> {
        self.by_name.get(name).map(|id| self.values[id.0].as_ref())
    }

    /// Lets the caller change every master, whichever layers share it.
    pub(super) fn change(&mut self, model: &mut RewardModel, change: impl FnOnce(&mut [Matrix])) {
        for layer in model.layers_mut() {
            if let LayerMut::Table(table) = layer
                && table.layer.parameter().is_some()
            {
                table.layer.release_table();
            }
        }
        let mut values: Vec<Matrix> =
            std::mem::take(&mut self.values).into_iter().map(Arc::unwrap_or_clone).collect();
        change(&mut values);
        self.values = values.into_iter().map(Arc::new).collect();
    }

    /// Brings the masters into the layers.
    pub(super) fn pack(&self, model: &mut RewardModel, checkpoint: &Checkpoint, device: &Device) {
        self.share_tables(model);
        for layer in model.layers_mut() {
            match layer {
                LayerMut::Norm(norm) => self.pack_norm(norm),
                LayerMut::Table(_) => {}
                LayerMut::Linear(linear) => self.pack_linear(linear, checkpoint, device),
                LayerMut::Gated(gated) => self.pack_gated(gated, checkpoint, device),
            }
        }
    }

    /// Lets the model look up the masters of embedding tables.
    pub(super) fn share_tables(&self, model: &mut RewardModel) {
        for layer in model.layers_mut() {
            if let LayerMut::Table(table) = layer
                && let Some(id) = table.layer.parameter()
            {
                table.layer.set_table(Arc::clone(&self.values[id.0]));
            }
        }
    }

    fn pack_norm(&self, norm: &mut Named<RmsNorm>) {
        if let Some(id) = norm.layer.parameter() {
            norm.layer.set_weight(self.values[id.0].as_slice());
        }
    }

    fn pack_linear(&self, linear: &mut Named<Linear>, checkpoint: &Checkpoint, device: &Device) {
        if !linear.layer.is_trainable() {
            return;
        }
        let links = self.refreshed(linear.layer.links());
        linear.layer.set_links(links);
        let current: Vec<Current<'_>> =
            linear.modules.iter().map(|module| self.current(module, checkpoint)).collect();
        let sources: Vec<&dyn RowSource> = current.iter().map(|current| current as _).collect();
        let has_bias = linear.modules[0].bias;
        let bias = has_bias.then(|| {
            linear.modules.iter().flat_map(|module| self.bias(module, checkpoint)).collect()
        });
        linear.layer.repack(device, &sources, bias);
    }

    fn pack_gated(&self, gated: &mut Named<GatedLinear>, checkpoint: &Checkpoint, device: &Device) {
        if !gated.layer.is_trainable() {
            return;
        }
        let links = self.refreshed(gated.layer.links());
        gated.layer.set_links(links);
        let [gate, up] = gated.modules.as_slice() else { unreachable!("gate and up") };
        let biases = gate.bias.then(|| (self.bias(gate, checkpoint), self.bias(up, checkpoint)));
        let biases = biases.as_ref().map(|(gate, up)| (gate.as_slice(), up.as_slice()));
        let (gate, up) = (self.current(gate, checkpoint), self.current(up, checkpoint));
        gated.layer.repack(device, &gate, &up, biases);
    }

    /// Links with today's low-rank factors.
    fn refreshed(&self, links: &[Link]) -> Vec<Link> {
        let mut links = links.to_vec();
        for link in &mut links {
            if let Some(Trainable::LowRank(low_rank)) = &mut link.weight {
                low_rank.a_value = self.values[low_rank.a.0].as_ref().clone();
                low_rank.b_value = self.values[low_rank.b.0].as_ref().clone();
            }
        }
        links
    }

    /// A stored tensor, by canonical name, as it is now.
    pub(super) fn current_tensor<'a>(
        &'a self,
        name: &str,
        shape: &[usize],
        checkpoint: &'a Checkpoint,
    ) -> Current<'a> {
        if let Some(master) = self.get(name) {
            return Current::Master(master);
        }
        let base =
            checkpoint.tensor(name, shape).expect("the model was loaded from this checkpoint");
        let module = name.strip_suffix(".weight").unwrap_or(name);
        match (self.get(&lora_a(module)), self.get(&lora_b(module))) {
            (Some(a), Some(b)) => Current::Adapted { base, a, b, scale: self.lora_scale },
            _ => Current::Frozen(base),
        }
    }

    fn current<'a>(&'a self, module: &Module, checkpoint: &'a Checkpoint) -> Current<'a> {
        self.current_tensor(&module.weight_name(), &module.shape(), checkpoint)
    }

    fn bias(&self, module: &Module, checkpoint: &Checkpoint) -> Vec<f32> {
        let name = module.bias_name();
        self.get(&name).map_or_else(
            || {
                let tensor = checkpoint.tensor(&name, &[module.outputs]);
                tensor.expect("the model was loaded from this checkpoint").to_f32()
            },
            Matrix::to_f32,
        )
    }
}

/// Where the rows of a weight come from at this moment.
pub(super) enum Current<'a> {
    Master(&'a Matrix),
    Frozen(Tensor<'a>),
    Adapted { base: Tensor<'a>, a: &'a Matrix, b: &'a Matrix, scale: f32 },
}

impl RowSource for Current<'_> {
    fn dims(&self) -> (usize, usize) {
        match self {
            Self::Master(matrix) => matrix.dims(),
            Self::Frozen(tensor) | Self::Adapted { base: tensor, .. } => RowSource::dims(tensor),
        }
    }

    fn read_f32(&self, row: usize, out: &mut [f32]) {
        match self {
            Self::Master(matrix) => matrix.read_f32(row, out),
            Self::Frozen(tensor) => tensor.read_f32(row, out),
            Self::Adapted { base, a, b, scale } => {
                base.read_f32(row, out);
                let (a, rank) = (a.as_slice::<f32>(), b.cols());
                let factors = &b.as_slice::<f32>()[row * rank..][..rank];
                for (factor, a) in factors.iter().zip(a.chunks_exact(out.len())) {
                    let factor = scale * factor;
                    for (out, a) in out.iter_mut().zip(a) {
                        *out += factor * a;
                    }
                }
            }
        }
    }

    fn read_bf16(&self, row: usize, out: &mut [bf16]) {
        match self {
            Self::Master(matrix) => matrix.read_bf16(row, out),
            Self::Frozen(tensor) => tensor.read_bf16(row, out),
            Self::Adapted { .. } => {
                let mut sums = vec![0.0; out.len()];
                self.read_f32(row, &mut sums);
                for (out, sum) in out.iter_mut().zip(sums) {
                    *out = bf16::from_f32(sum);
                }
            }
        }
    }
}

/// Names of the low-rank factors of a module, as PEFT has them.
fn lora_a(module: &str) -> String {
    format!("{module}.lora_A.weight")
}

fn lora_b(module: &str) -> String {
    format!("{module}.lora_B.weight")
}

/// Gives ids to what is trained.
struct Linker<'a> {
    masters: Masters,
    checkpoint: &'a Checkpoint,
    head: &'a HeadTensors,
    options: &'a TrainingOptions,
}

impl Linker<'_> {
    fn is_trained(&self, module: &Module) -> bool {
        let part = Part::of(&module.name);
        part == Part::Head || self.options.parts.contains(&part)
    }

    /// Whether every element of a module is trained, and not a low-rank addition.
    fn is_whole(&self, module: &Module) -> bool {
        let lora = self.options.lora.is_some() && Part::of(&module.name) != Part::Head;
        self.is_trained(module) && !lora
    }

    /// A weight that is trained as a whole or not at all.
    fn whole(&mut self, module: &Module) -> Result<Option<ParameterId>, LoadError> {
        if !self.is_whole(module) {
            return Ok(None);
        }
        let cols = module.inputs.iter().product();
        let (rows, cols) =
            if module.inputs.is_empty() { (1, module.outputs) } else { (module.outputs, cols) };
        let values = match self.head_layer(module) {
            Some(layer) => layer.weight.clone(),
            None => self.checkpoint.tensor(&module.weight_name(), &module.shape())?.to_f32(),
        };
        let part = Part::of(&module.name);
        Ok(Some(self.add(module.weight_name(), Matrix::from_vec(rows, cols, values), part)))
    }

    fn bias(&mut self, module: &Module) -> Result<Option<ParameterId>, LoadError> {
        if !module.bias || !self.is_whole(module) {
            return Ok(None);
        }
        let values = match self.head_layer(module) {
            Some(layer) => layer.bias.clone().expect("the module has a bias"),
            None => self.checkpoint.tensor(&module.bias_name(), &[module.outputs])?.to_f32(),
        };
        let part = Part::of(&module.name);
        let value = Matrix::from_vec(1, module.outputs, values);
        Ok(Some(self.add(module.bias_name(), value, part)))
    }

    fn head_layer(&self, module: &Module) -> Option<&HeadLayer> {
        let modules = head::modules(self.head);
        let index = modules.iter().position(|one| one.name == module.name)?;
        Some(&self.head.layers[index])
    }

    fn low_rank(&mut self, module: &Module) -> Option<LowRank> {
        let lora = self.options.lora.as_ref()?;
        let last = module.name.rsplit('.').next().expect("a split has a part");
        let wanted = lora.targets.iter().any(|target| target == last);
        if !wanted || !self.is_trained(module) || self.is_whole(module) {
            return None;
        }
        let inputs = module.inputs.iter().product();
        let part = Part::of(&module.name);
        let name = lora_a(&module.name);
        let a_value = Checkpoint::random_matrix(self.options.seed, &name, lora.rank, inputs);
        let a_value = Matrix::from_vec(lora.rank, inputs, a_value);
        let b_value = Matrix::zeros(module.outputs, lora.rank, DType::F32);
        let a = self.add(name, a_value.clone(), part);
        let b = self.add(lora_b(&module.name), b_value.clone(), part);
        Some(LowRank { a, b, a_value, b_value, scale: self.masters.lora_scale })
    }

    fn links(&mut self, modules: &[Module]) -> Result<Vec<Link>, LoadError> {
        let mut links = Vec::new();
        let mut start = 0;
        for module in modules {
            let outputs = start..start + module.outputs;
            start = outputs.end;
            let weight = match self.whole(module)? {
                Some(id) => Some(Trainable::Full(id)),
                None => self.low_rank(module).map(Trainable::LowRank),
            };
            let bias = self.bias(module)?;
            if weight.is_some() || bias.is_some() {
                links.push(Link { outputs, weight, bias });
            }
        }
        Ok(links)
    }

    fn add(&mut self, name: String, value: Matrix, part: Part) -> ParameterId {
        let id = ParameterId(self.masters.values.len());
        let (rows, cols) = value.dims();
        self.masters.by_name.insert(name.clone(), id);
        self.masters.infos.push(ParameterInfo { name, rows, cols, part });
        self.masters.values.push(Arc::new(value));
        id
    }
}
