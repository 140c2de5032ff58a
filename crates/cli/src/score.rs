//! `basereward score`: rewards for one item from the command line, or for every row of a JSONL file.

mod file;
mod item;
mod lines;
mod record;
mod rows;
mod settings;
mod target;

use anyhow::bail;
use std::path::PathBuf;

use crate::arguments::ModelArgs;
use crate::output::Outcome;

/// What `--help` says besides the options.
const ROWS: &str = "\
Rows:
  A row is a line of JSON:
    {\"id\": text, \"images\": [path or data: URL, …], \"prompt\": text, \"responses\": [text, …]}
  Paths start at the folder of the file. <image> in the prompt says where a picture belongs; without it
  pictures come first. A row without an id is named by its line. Instead of \"prompt\" there may be
  \"messages\": [{\"role\": …, \"content\": …}, …], and besides the images
  \"videos\": [{\"frames\": [path, …], \"fps\": number}, …] with <video> in the text. A response may also be a
  message from the assistant, or a list of messages that begins and ends with one.

  Every row gives one output row, in the order of the input:
    {\"id\": text, \"scores\": [number for each response], \"tokens\": [tokens of each conversation],
     \"image_tokens\": tokens of pictures in each}
  or, where it could not be scored, {\"id\": text, \"error\": sentence}; then the exit code is 1.";

const EXAMPLES: &str = "\
Examples:
  basereward score MODEL --image photo.jpg --prompt \"What is on the table?\" --response \"A cat.\" --response \"Two cups.\"
  basereward score MODEL rows.jsonl -o scores.jsonl --dtype bf16
  basereward score MODEL rows.jsonl -o scores.jsonl --dtype bf16 --resume
  cat rows.jsonl | basereward score MODEL - > scores.jsonl";

/// Score one item, or every row of a JSONL file
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, after_long_help = format!("{ROWS}\n\n{EXAMPLES}"))]
pub(crate) struct Args {
    /// Folder of the reward model
    #[arg(value_name = "MODEL")]
    model: PathBuf,
    /// JSONL file of rows, or - for standard input
    #[arg(value_name = "ROWS", conflicts_with_all = ["image", "prompt", "response", "json"])]
    rows: Option<PathBuf>,
    /// Where the scores go; FILE.run.json beside it says how they were made [default: standard output, also as -]
    #[arg(short, long, value_name = "FILE", requires = "rows")]
    output: Option<PathBuf>,
    /// Continue an output file that was interrupted; rows that are in it are not scored again
    #[arg(long, requires = "output")]
    resume: bool,
    /// Replace an output file that exists
    #[arg(long, requires = "output", conflicts_with = "resume")]
    overwrite: bool,
    /// Picture of the one item; may be repeated
    #[arg(long, value_name = "FILE")]
    image: Vec<PathBuf>,
    /// Question of the one item
    #[arg(long, value_name = "TEXT")]
    prompt: Option<String>,
    /// Answer to score; repeat it for each answer
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    response: Vec<String>,
    /// Print the one item as an output row
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    options: ModelArgs,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Outcome> {
    match &args.rows {
        Some(rows) => file::run(args, rows),
        None if args.prompt.is_none() && args.response.is_empty() => {
            bail!(
                "nothing to score; give a JSONL file, or --prompt and --response (see `basereward score --help`)"
            )
        }
        None => item::run(args),
    }
}
