//! Every benchmark as a few rows of our own in its published form, with pictures.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::{Int64Builder, ListBuilder, StringBuilder};
use arrow_array::{ArrayRef, BinaryArray, RecordBatch, StringArray, StructArray};
use arrow_schema::{DataType, Field};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use parquet::arrow::ArrowWriter;
use serde_json::{Value, json};

use crate::support::{Workplace, goldens, lines};

/// Names of the benchmarks, each with the rows of its files.
pub(crate) const ROWS: [(&str, u64); 13] = [
    ("vl-rewardbench", 6),
    ("multimodal-rewardbench", 8),
    ("mm-rlhf-rewardbench", 6),
    ("multimodal-rewardbench-2", 2),
    ("mr2bench", 2),
    ("preferences", 3),
    ("rewardbench", 4),
    ("rewardbench-2", 4),
    ("rm-bench", 5),
    ("judgebench", 2),
    ("rmb-pairwise", 2),
    ("rmb-bon", 2),
    ("llmbar", 3),
];

/// Writes every benchmark into `folder/NAME`.
pub(crate) fn write_all(place: &Workplace, folder: &str) {
    let root = place.path(folder);
    for (name, _) in ROWS {
        fs::create_dir_all(root.join(name)).unwrap();
    }
    vl_rewardbench(&root.join("vl-rewardbench"));
    multimodal_rewardbench(&root.join("multimodal-rewardbench"));
    mm_rlhf(&root.join("mm-rlhf-rewardbench"));
    mmrb2(&root.join("multimodal-rewardbench-2"));
    ranked(&root);
    texts(&root);
}

fn picture(name: &str) -> Vec<u8> {
    fs::read(goldens().join("images").join(name)).unwrap()
}

fn put(folder: &Path, name: &str, content: impl AsRef<[u8]>) {
    let file = folder.join(name);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, content).unwrap();
}

const VL_IDS: [&str; 6] = [
    "hallucination_pair-7",
    "RLAIF-V-14",
    "RLHF-V-31",
    "wildvision-battle-5",
    "mathverse_22",
    "mmmu_pro_3",
];
const PICTURES: [&str; 3] = ["circle.png", "square.png", "odd_wide.png"];

fn vl_rewardbench(folder: &Path) {
    let strings = |texts: &[String]| -> ArrayRef { Arc::new(StringArray::from(texts.to_vec())) };
    let num_rows = VL_IDS.len();
    let pictures: Vec<Vec<u8>> = (0..num_rows).map(|row| picture(PICTURES[row % 3])).collect();
    let bytes: ArrayRef =
        Arc::new(BinaryArray::from(pictures.iter().map(|one| Some(&one[..])).collect::<Vec<_>>()));
    let paths = strings(&PICTURES.repeat(2).into_iter().map(str::to_owned).collect::<Vec<_>>());
    let image: ArrayRef = Arc::new(StructArray::from(vec![
        (Arc::new(Field::new("bytes", DataType::Binary, true)), bytes),
        (Arc::new(Field::new("path", DataType::Utf8, true)), paths),
    ]));
    let mut responses = ListBuilder::new(StringBuilder::new());
    let mut rankings = ListBuilder::new(Int64Builder::new());
    for row in 0..num_rows {
        responses.values().append_value(format!("Answer one to {row}."));
        responses.values().append_value(format!("The second, longer answer to {row}."));
        responses.append(true);
        for rank in if row == 3 { [1, 0] } else { [0, 1] } {
            rankings.values().append_value(rank);
        }
        rankings.append(true);
    }
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", strings(&VL_IDS.map(str::to_owned))),
        (
            "query",
            strings(&(0..num_rows).map(|row| format!("Question {row}?")).collect::<Vec<_>>()),
        ),
        ("response", Arc::new(responses.finish())),
        ("image", image),
        ("human_ranking", Arc::new(rankings.finish())),
    ];
    write_table(&folder.join("test-00000-of-00001.parquet"), columns);
}

/// The same rows as the TSV file that VLMEvalKit reads.
pub(crate) fn vl_rewardbench_tsv(place: &Workplace, name: &str) {
    let mut text = "index\tid\tquery\tresponse\timage\thuman_ranking\n".to_owned();
    for (row, id) in VL_IDS.iter().enumerate() {
        let image = STANDARD.encode(picture(PICTURES[row % 3]));
        let ranking = if row == 3 { "[1, 0]" } else { "[0, 1]" };
        let line = format!(
            "{row}\t{id}\tQuestion {row}?\t['Answer one to {row}.', 'The second, longer answer to {row}.']\t{image}\t{ranking}\n"
        );
        text.push_str(&line);
    }
    place.write(name, text);
}

fn write_table(path: &Path, columns: Vec<(&str, ArrayRef)>) {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let file = File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn multimodal_rewardbench(folder: &Path) {
    put(folder, "images/nocaps/1.png", picture("circle.png"));
    put(folder, "images/pairs/2.png", picture("square.png"));
    let row = |id: &str, category: &str, image: &str, better: &str| {
        json!({
            "ID": id, "Category": category, "Text": format!("What about {id}?"), "Image": image,
            "Output1": "A round thing.", "Output2": "An angular thing.", "Better": better,
        })
    };
    let rows = [
        row("nocaps-1", "open_generation/correctness_task", "images/nocaps/1.png", "Output1"),
        row("nocaps-2", "open_generation/preference_task", "images/nocaps/1.png", "Output2"),
        row("mmmu-3", "knowledge", "images/nocaps/1.png", "Output1"),
        row("mathvista-4", "reasoning", "images/pairs/2.png", "Output1"),
        row("emma-5", "reasoning", "images/pairs/2.png", "Output2"),
        row("pairs-6", "safety", "images/pairs/2.png", "Output1"),
        row("hateful-7", "safety", "images/pairs/2.png", "Output1"),
        row("realworld-8", "vqa", "images/nocaps/1.png", "Output2"),
    ];
    put(folder, "all_data.json", Value::from(rows.to_vec()).to_string());
}

fn mm_rlhf(folder: &Path) {
    for name in ["mcq/1.png", "long/2.png", "short/3.png", "safety/4.png"] {
        put(folder, name, picture("windows.png"));
    }
    for frame in 0..4 {
        let name = format!("video/clip/{frame}.png");
        put(folder, &name, picture(&format!("frame{frame}.png")));
    }
    let row = |id: &str, medium: &str, path: &str, chosen: &str| {
        json!({
            "id": id, medium: path, "prompt": "What is to be seen?", "chosen": chosen,
            "rejected": "Nothing at all.", "chosen_reason": "", "rejected_reason": "",
        })
    };
    let rows = [
        row("1", "image", "mcq/1.png", "A."),
        row("1", "image", "mcq/1.png", "The answer is A."),
        row("2", "image", "long/2.png", "Windows, in a long row."),
        row("3", "image", "short/3.png", "Windows."),
        row("4", "image", "safety/4.png", "Windows that are closed."),
        row("5", "video", "video/clip", "Something moves."),
    ];
    put(folder, "mm_reward_bench.jsonl", lines(&rows));
}

fn mmrb2(folder: &Path) {
    put(folder, "images/1.png", picture("circle.png"));
    let row = |id: &str, chosen: &str| {
        json!({
            "id": id,
            "prompt_content": [["text", "What is it?"], ["image", "images/1.png"]],
            "prompt_source": "blink",
            "prompt_metadata": {"id": id},
            "response_a": {"model_name": "x", "response_content": [["text", "A circle."]]},
            "response_b": {"model_name": "y", "response_content": [["text", "A square, I would say."]]},
            "chosen": chosen,
            "human_annotations": [],
        })
    };
    put(folder, "reasoning.jsonl", lines(&[row("1", "A"), row("2", "B")]));
}

fn ranked(root: &Path) {
    let folder = root.join("mr2bench");
    put(&folder, "images/1.png", picture("odd_tall.png"));
    let row = |id: &str, rankings: [u32; 4]| {
        json!({
            "id": id, "prompt": "Describe it.", "image": "images/1.png",
            "responses": ["One.", "Two words.", "Three words here.", "There are four words."],
            "rankings": rankings,
        })
    };
    put(&folder, "test.jsonl", lines(&[row("1", [1, 2, 3, 4]), row("2", [2, 1, 2, 3])]));
    let folder = root.join("preferences");
    put(&folder, "images/1.png", picture("circle.png"));
    let pair = |id: &str| {
        json!({
            "id": id, "images": ["images/1.png"], "prompt": format!("What is {id}?"),
            "chosen": "A circle.", "rejected": "A square.",
        })
    };
    put(&folder, "pairs.jsonl", lines(&[pair("a"), pair("b"), pair("c")]));
}

fn texts(root: &Path) {
    let row = |id: u32, subset: &str| {
        json!({
            "prompt": format!("Question {id}?"), "chosen": "Yes.", "chosen_model": "x",
            "rejected": "No, never.", "rejected_model": "y", "subset": subset, "id": id,
        })
    };
    let rows = ["alpacaeval-easy", "llmbar-natural", "donotanswer", "hep-cpp"];
    let rows: Vec<Value> = (0u32..).zip(rows).map(|(id, subset)| row(id, subset)).collect();
    put(&root.join("rewardbench"), "filtered.jsonl", lines(&rows));

    let row = |id: &str, subset: &str, num_correct: usize| {
        let answers = |word: &str, count: usize| {
            (0..count).map(|place| format!("{word} number {place}.")).collect::<Vec<_>>()
        };
        json!({
            "id": id, "prompt": format!("Question {id}?"), "subset": subset,
            "chosen": answers("Good", num_correct), "rejected": answers("Bad", 3),
            "num_correct": num_correct, "total_completions": num_correct + 3,
        })
    };
    let rows = [
        row("1", "Factuality", 1),
        row("2", "Math", 1),
        row("ref:1", "Ties", 1),
        row("tied:1", "Ties", 2),
    ];
    put(&root.join("rewardbench-2"), "test.jsonl", lines(&rows));

    let styles =
        |word: &str| ["", " in prose", " in **markdown**"].map(|style| format!("{word}{style}."));
    for name in ["chat", "code", "math", "safety-refuse", "safety-response"] {
        let row = json!({
            "id": 1, "prompt": format!("A question of {name}?"), "subset": "own",
            "chosen": styles("Right"), "rejected": styles("Wrong"),
        });
        put(&root.join("rm-bench"), &format!("{name}_filtered.json"), json!([row]).to_string());
    }

    let row = |id: &str, source: &str, label: &str| {
        json!({
            "pair_id": id, "original_id": 1, "source": source, "question": "Which?",
            "response_model": "x", "response_A": "This one.", "response_B": "That one.", "label": label,
        })
    };
    let rows = [row("1", "mmlu-pro-law", "A>B"), row("2", "livebench-math", "B>A")];
    put(&root.join("judgebench"), "gpt.jsonl", lines(&rows));

    let turns = json!([{"role": "user", "content": "May I?", "language": "English"}]);
    let answer = |text: &str| json!({"llm_name": "x", "answer": text});
    let row = |id: &str, path: &str| {
        json!({
            "pair_uid": id, "conversation_input": turns, "chosen": answer("You may."),
            "reject": answer("Who knows."), "category_path": path,
        })
    };
    let rows = json!([
        row("1", "Pairwise_set/Helpfulness/Chat"),
        row("2", "Pairwise_set/Harmlessness/S1")
    ]);
    put(&root.join("rmb-pairwise"), "pairs.json", rows.to_string());
    let row = |id: &str, path: &str| {
        json!({
            "bon_uid": id, "conversation_input": turns, "bon_best": answer("You may."),
            "loser_list": [answer("No."), answer("Who knows."), answer("Ask again.")], "category_path": path,
        })
    };
    let rows = json!([row("1", "BoN_set/Helpfulness/Chat"), row("2", "BoN_set/Harmlessness/S1")]);
    put(&root.join("rmb-bon"), "sets.json", rows.to_string());

    for (name, label) in [("Natural", 1), ("Adversarial/Manual", 2), ("Adversarial/GPTOut", 1)] {
        let row = json!({"input": format!("Say {name}."), "output_1": "Said.", "output_2": "Unsaid.", "label": label});
        let word = name.rsplit('/').next().unwrap();
        put(&root.join("llmbar"), &format!("{word}.json"), json!([row]).to_string());
    }
}
