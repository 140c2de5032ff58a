//! The report of `inspect` for people.

use model::config::MODEL_TYPE;
use page::number;

use super::report::{Head, Limits, ProcessorFacts, Report, Statistics, Storage, TensorFacts};
use crate::sheet::{self, Sheet};

/// Digits of a statistic: enough to compare two heads by eye.
const DIGITS: usize = 6;

/// The whole report as text.
pub(super) fn render(report: &Report) -> String {
    let mut page = Sheet::default();
    page.title(&report.folder);
    page.row("architecture", report.architecture);
    parameters(&mut page, report);
    storage(&mut page, &report.storage);
    if let Some(hash) = &report.model_hash {
        page.row("hash of all tensors", format!("blake3 {hash}"));
    }
    towers(&mut page, report);
    if let Some(head) = &report.head {
        head_section(&mut page, head);
    } else {
        page.title("reward head");
        page.row(
            "none",
            format!("this is a {MODEL_TYPE} backbone; `basereward init` attaches a head"),
        );
    }
    processor(&mut page, report);
    if let Some(tensors) = &report.tensors {
        tensor_list(&mut page, tensors);
    }
    page.into_text()
}

fn parameters(page: &mut Sheet, report: &Report) {
    let numbers = &report.parameters;
    let total = number::count(numbers.total);
    let mut parts = vec![
        format!("vision {}", number::count(numbers.vision)),
        format!("language {}", number::count(numbers.language)),
    ];
    if numbers.lm_head > 0 {
        parts.push(format!("lm_head {} (not used)", number::count(numbers.lm_head)));
    }
    parts.push(format!("head {}", number::count(numbers.head)));
    page.row("parameters", format!("{total}: {}", parts.join(", ")));
}

fn storage(page: &mut Sheet, storage: &Storage) {
    let types: Vec<String> = storage
        .types
        .iter()
        .map(|(name, facts)| {
            format!("{name} {} in {} tensors", sheet::bytes(facts.size_bytes), facts.tensors)
        })
        .collect();
    page.row("size", format!("{}: {}", sheet::bytes(storage.size_bytes), types.join(", ")));
    for (file_idx, file) in storage.files.iter().enumerate() {
        let label = if file_idx == 0 { "files" } else { "" };
        let size = sheet::bytes(file.size_bytes);
        page.row(label, format!("{} ({size}, {} tensors)", file.name, file.tensors));
    }
    let naming = match storage.naming {
        "published" => "published (`model.*`, `visual.*`)",
        "transformers_5" => "transformers 5 (`model.language_model.*`, `model.visual.*`)",
        _ => "both namings, mixed",
    };
    page.row("tensor names", naming);
}

fn towers(page: &mut Sheet, report: &Report) {
    let vision = &report.vision;
    page.title("vision tower");
    page.row("blocks", format!("{} of width {}", vision.depth, vision.hidden_size));
    page.row("feed-forward width", vision.intermediate_size.to_string());
    page.row("attention", format!("{} heads of {}", vision.num_heads, vision.head_dim));
    let full: Vec<String> = vision.fullatt_block_indexes.iter().map(usize::to_string).collect();
    page.row(
        "windows",
        format!("{} pixels; whole frame in blocks {}", vision.window_size, full.join(", ")),
    );
    let side = vision.patch_size * vision.spatial_merge_size;
    page.row(
        "patches",
        format!("{0} x {0} pixels; one token for {side} x {side}", vision.patch_size),
    );

    let language = &report.language;
    page.title("language model");
    page.row("layers", format!("{} of width {}", language.num_hidden_layers, language.hidden_size));
    page.row("feed-forward width", language.intermediate_size.to_string());
    page.row(
        "attention",
        format!(
            "{} heads of {}, {} for keys and values",
            language.num_attention_heads, language.head_dim, language.num_key_value_heads
        ),
    );
    let [time, height, width] = language.mrope_section;
    page.row(
        "rotary positions",
        format!("base {}, sections {time} + {height} + {width}", language.rope_theta),
    );
    page.row(
        "longest conversation",
        format!("{} tokens", number::count(language.max_position_embeddings as u64)),
    );
    let tied = if language.tie_word_embeddings { "tied to lm_head" } else { "not tied to lm_head" };
    page.row(
        "embedding table",
        format!("{} tokens, {tied}", number::count(language.vocab_size as u64)),
    );
}

fn head_section(page: &mut Sheet, head: &Head) {
    page.title("reward head");
    page.row("tensor names", &head.layout);
    if head.num_layers == 1 {
        page.row("layers", "1");
    } else {
        page.row("layers", format!("{}, {} wide between", head.num_layers, head.hidden_size));
        page.row("activation", &head.activation);
    }
    page.row("biases", if head.bias { "yes" } else { "no" });
    page.row("position", &head.position);
    let source = if head.stated {
        "`reward_head` in config.json"
    } else {
        "the tensors, and the usual activation and position of this layout; a `reward_head` block in config.json would overrule them"
    };
    page.row("known from", source);
    page.row("hash", format!("blake3 {}", head.hash));
    let heading = ["tensor", "shape", "type", "min", "max", "mean", "std", ""];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    rows.extend(head.tensors.iter().map(statistics));
    for line in sheet::columns(&rows) {
        page.line(&format!("  {line}"));
    }
}

fn statistics(tensor: &Statistics) -> Vec<String> {
    let number = |value: Option<f64>| match value {
        Some(value) => format!("{value:.DIGITS$}"),
        None => "-".to_owned(),
    };
    let note = match tensor.not_finite {
        0 => String::new(),
        count => format!("{} not finite", number::count(count)),
    };
    vec![
        tensor.name.clone(),
        shape(&tensor.shape),
        tensor.stored_as.clone(),
        number(tensor.min),
        number(tensor.max),
        number(tensor.mean),
        number(tensor.std),
        note,
    ]
}

fn processor(page: &mut Sheet, report: &Report) {
    page.title("processor");
    let Some(facts) = &report.processor else {
        page.row("not usable", report.problem.as_deref().unwrap_or_default());
        return;
    };
    let ProcessorFacts { chat_template_hash, tokenizer_vocab_size, special_tokens, .. } = facts;
    page.row("chat template", format!("blake3 {chat_template_hash}"));
    let rows = number::count(report.language.vocab_size as u64);
    let tokens = number::count(*tokenizer_vocab_size as u64);
    let fits = if facts.vocabulary_fits {
        format!("{tokens} tokens; the embedding table has {rows}")
    } else {
        format!(
            "{tokens} tokens, MORE than the {rows} of the embedding table: it belongs to another model"
        )
    };
    page.row("tokenizer", fits);
    let mut by_id: Vec<(&String, &u32)> = special_tokens.iter().collect();
    by_id.sort_by_key(|(_, id)| **id);
    let listed: Vec<String> = by_id.iter().map(|(token, id)| format!("{token} {id}")).collect();
    page.row("special tokens", listed.join(", "));
    page.row("image", limits(&facts.image));
    page.row("video frame", limits(&facts.video));
}

fn limits(limits: &Limits) -> String {
    let [min_pixels, max_pixels, min_tokens, max_tokens] =
        [limits.min_pixels, limits.max_pixels, limits.min_tokens, limits.max_tokens]
            .map(number::count);
    format!("{min_pixels} to {max_pixels} pixels, {min_tokens} to {max_tokens} tokens")
}

fn tensor_list(page: &mut Sheet, tensors: &[TensorFacts]) {
    page.title("tensors");
    let heading = ["name", "shape", "type", "bytes", "file", "name in the file"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    rows.extend(tensors.iter().map(|tensor| {
        let renamed = tensor.name != tensor.original_name;
        vec![
            tensor.name.clone(),
            shape(&tensor.shape),
            tensor.stored_as.clone(),
            number::count(tensor.size_bytes),
            tensor.file.clone(),
            if renamed { tensor.original_name.clone() } else { "same".to_owned() },
        ]
    }));
    for line in sheet::columns(&rows) {
        page.line(&format!("  {line}"));
    }
}

fn shape(sizes: &[usize]) -> String {
    format!("{sizes:?}")
}
