//! `basereward serve`: a model behind HTTP. Arguments, keys and the sentence that says where it listens; the server itself is the crate
//! `serve`.

mod card;

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ::serve::listen::{self, Listen};
use ::serve::{Access, Config, Identity, Limits, Served, Server};
use anyhow::{Context, bail};
use engine::Device;
use model::checkpoint::Checkpoint;
use model::probe::{ProbeFile, ProbeScores, Replay};

use crate::arguments::ModelArgs;
use crate::init::is_head_tensor;
use crate::inspect::digest;
use crate::loaded::{self, Loaded};
use crate::output::{self, Outcome, complain};

/// Longest conversation unless `--max-tokens` says otherwise. Work grows with the square of the length, and one request holds up all others
/// while it is computed: what some models allow, 128,000 tokens, is minutes of a small machine.
const CONVERSATION_TOKENS: usize = 32_768;
/// Environment variable that may hold a key.
const KEY_VARIABLE: &str = "BASEREWARD_API_KEY";

const EXAMPLES: &str = "\
Examples:
  basereward serve MODEL --port 8080
  curl -s http://127.0.0.1:8080/v1/reward -H 'Content-Type: application/json' \\
    -d '{\"prompt\": \"What is on the table?\", \"responses\": [\"A cat.\", \"Two cups.\"]}'
  basereward serve MODEL --host 0.0.0.0 --api-key-file keys.txt --tls-cert chain.pem --tls-key key.pem

The page to try the model is at /, the reference of all routes at /docs, for programs at /openapi.json.";

/// Serve rewards over HTTP
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Folder of the reward model
    #[arg(value_name = "MODEL")]
    model: PathBuf,
    /// Port to listen on; 0 lets the system choose one
    #[arg(long, value_name = "N", default_value_t = 8080)]
    port: u16,
    /// Address to listen on; others than this machine's own need a key or --no-auth
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    host: IpAddr,
    /// Name under which requests may ask for the model [default: the folder's]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// File of keys, one a line, of which a caller must present one [also: the variable `BASEREWARD_API_KEY`]
    #[arg(long, value_name = "FILE")]
    api_key_file: Option<PathBuf>,
    /// Listen on other addresses without asking for a key
    #[arg(long, conflicts_with = "api_key_file")]
    no_auth: bool,
    /// Certificate chain for TLS, a PEM file
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Key of the certificate, a PEM file
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Replay the probe scores that were stored with the model, and refuse to start when they differ
    #[arg(long)]
    selfcheck: bool,
    /// Keep choices of the page's arena in this preference file, their pictures beside it
    #[arg(long, value_name = "FILE")]
    feedback: Option<PathBuf>,
    /// Bytes of that file and of its pictures; over it, choices are refused
    #[arg(long, value_name = "N", default_value_t = 1 << 30)]
    max_feedback_bytes: u64,
    #[command(flatten)]
    pictures: PictureArgs,
    #[command(flatten)]
    bounds: BoundArgs,
    #[command(flatten)]
    options: ModelArgs,
}

/// Where pictures may come from.
#[derive(Debug, clap::Args)]
struct PictureArgs {
    /// Folder whose pictures requests may name by path; may be repeated
    #[arg(long, value_name = "DIR")]
    allow_path: Vec<PathBuf>,
    /// Fetch pictures from public http and https addresses that requests name
    #[arg(long)]
    allow_urls: bool,
    /// Pictures of a request
    #[arg(long, value_name = "N", default_value_t = 64)]
    max_images: usize,
    /// Tokens that the pictures of a request may take together, equal ones counted once; over it, the request is refused
    #[arg(long, value_name = "N", default_value_t = 4096)]
    max_image_tokens: usize,
    /// Pixels that are decoded of one picture
    #[arg(long, value_name = "N", default_value_t = 50_000_000)]
    max_decoded_pixels: u64,
}

/// How much of everything.
#[derive(Debug, clap::Args)]
struct BoundArgs {
    /// Bytes of a request's body
    #[arg(long, value_name = "N", default_value_t = 32 << 20)]
    max_body_bytes: usize,
    /// Responses of a request
    #[arg(long, value_name = "N", default_value_t = 64)]
    max_responses: usize,
    /// Requests at a time; over it, requests are answered with 429
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = at_least_one)]
    max_requests: usize,
    /// Bytes of prompts and pictures that are kept, so that later requests over them cost only their responses; 0 keeps nothing
    #[arg(long, value_name = "N", default_value_t = 1 << 30)]
    cache_bytes: usize,
    /// Bytes of decoded pictures that are kept, so that later requests that show them need not decode them; 0 keeps nothing
    #[arg(long, value_name = "N", default_value_t = 256 << 20)]
    picture_cache_bytes: usize,
    /// Tokens that are scored together
    #[arg(long, value_name = "N", default_value_t = 4096, value_parser = at_least_one)]
    batch_tokens: usize,
    /// Microseconds that a batch waits for requests that are on their way
    #[arg(long, value_name = "N", default_value_t = 2000)]
    batch_window_us: u64,
    /// Milliseconds that a request may take unless it says otherwise
    #[arg(long, value_name = "N", default_value_t = 60_000, value_parser = clap::value_parser!(u64).range(1..))]
    timeout_ms: u64,
    /// Seconds that requests may go on after the server was told to stop
    #[arg(long, value_name = "N", default_value_t = 30)]
    drain_secs: u64,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        Ok(_) => Err("must be above 0".to_owned()),
        Err(_) => Err("must be a whole number".to_owned()),
    }
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Outcome> {
    let api_keys = keys(args)?;
    if !args.host.is_loopback() && api_keys.is_empty() && !args.no_auth {
        bail!(
            "`{}` can be reached from other machines, and no key is asked for; give --api-key-file FILE, or --no-auth to serve everybody",
            args.host
        );
    }
    let bounds = loaded::Limits {
        decoded_pixels: Some(args.pictures.max_decoded_pixels),
        max_tokens: Some(CONVERSATION_TOKENS),
        ..loaded::Limits::default()
    };
    let (loaded, device) = args.options.load_with(&args.model, bounds)?;
    if args.selfcheck && !selfcheck(&args.model, &loaded, &device)? {
        return Ok(Outcome::CheckFailed);
    }
    let identity = identity(&args.model, &loaded)?;
    let Loaded { model, processor, .. } = loaded;
    let name = args.name.clone().unwrap_or_else(|| folder_name(&args.model));
    let served = Served { name, model, processor, identity };
    let config = Config {
        api_keys,
        access: access(args),
        limits: limits(args),
        card: Some(card::read(&args.model)?),
        feedback: args.feedback.clone(),
    };
    let server = Server::start(served, config)?;
    let listen = Listen {
        address: SocketAddr::new(args.host, args.port),
        tls: args.tls_cert.clone().zip(args.tls_key.clone()),
    };
    listen::serve(server.clone(), &listen, |address| announce(&server, &listen, address))?;
    Ok(Outcome::Fine)
}

/// Whether the model still gives the rewards that were stored with it; says what it found.
fn selfcheck(folder: &Path, loaded: &Loaded, device: &Device) -> anyhow::Result<bool> {
    let name = folder.display();
    let Some(stored) = ProbeFile::read(folder)? else {
        complain(&format!("`{name}` stores no probe scores, so nothing is checked"));
        return Ok(true);
    };
    let now = ProbeScores::compute(&loaded.model, &loaded.processor, device, loaded.dtype)?;
    let (passes, sentence) = match stored.replay(&now) {
        Replay::Same => (true, format!("`{name}` gives the stored probe scores bit for bit")),
        Replay::Close { tier } => (
            true,
            format!(
                "`{name}` gives the probe scores that were stored on the CPU tier `{tier}`, as closely as tiers agree"
            ),
        ),
        Replay::NotStored => (
            true,
            format!(
                "`{name}` stores no probe scores for `{}`, so nothing is checked",
                loaded.dtype
            ),
        ),
        Replay::Different { index, stored, found } => (
            false,
            format!(
                "`{name}` gives `{found}` for probe {index}, but `{stored}` was stored with it; \
                 its files have changed, or this program computes something else (options such as --max-pixels do, too)"
            ),
        ),
    };
    complain(&sentence);
    Ok(passes)
}

/// Keys of the file and of the environment.
fn keys(args: &Args) -> anyhow::Result<Vec<String>> {
    let mut keys = Vec::new();
    if let Some(file) = &args.api_key_file {
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("cannot read `{}`", file.display()))?;
        keys.extend(text.lines().map(str::trim).filter(|key| !key.is_empty()).map(str::to_owned));
        if keys.is_empty() {
            bail!("`{}` has no key; write one a line", file.display());
        }
    }
    if !args.no_auth
        && let Ok(key) = std::env::var(KEY_VARIABLE)
    {
        let key = key.trim();
        if key.is_empty() {
            bail!("the variable `{KEY_VARIABLE}` is empty; unset it, or set it to a key");
        }
        keys.push(key.to_owned());
    }
    Ok(keys)
}

fn access(args: &Args) -> Access {
    Access { roots: args.pictures.allow_path.clone(), urls: args.pictures.allow_urls }
}

fn limits(args: &Args) -> Limits {
    let bounds = &args.bounds;
    let defaults = Limits::default();
    let timeout = Duration::from_millis(bounds.timeout_ms);
    Limits {
        max_body_bytes: bounds.max_body_bytes,
        max_images: args.pictures.max_images,
        max_image_tokens: args.pictures.max_image_tokens,
        max_responses: bounds.max_responses,
        max_requests: bounds.max_requests,
        cache_bytes: bounds.cache_bytes,
        picture_cache_bytes: bounds.picture_cache_bytes,
        batch_tokens: bounds.batch_tokens,
        batch_window: Duration::from_micros(bounds.batch_window_us),
        timeout,
        max_timeout: timeout.max(defaults.max_timeout),
        drain_timeout: Duration::from_secs(bounds.drain_secs),
        max_feedback_bytes: args.max_feedback_bytes,
        ..defaults
    }
}

fn identity(folder: &Path, loaded: &Loaded) -> anyhow::Result<Identity> {
    Ok(Identity {
        model: loaded.fingerprint.clone(),
        template: loaded.processor.template_hash().to_owned(),
        head: digest::of_tensors(&Checkpoint::open(folder)?, is_head_tensor)?,
        dtype: loaded.dtype.to_string(),
    })
}

/// Last part of a folder's path.
fn folder_name(folder: &Path) -> String {
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    absolute.file_name().map_or_else(|| "model".to_owned(), |name| name.to_string_lossy().into())
}

/// Says where the server listens; a program that started it reads the address from standard output.
fn announce(server: &Server, listen: &Listen, address: SocketAddr) {
    let scheme = if listen.tls.is_some() { "https" } else { "http" };
    let mut text = String::new();
    // Writing to a string cannot fail, and a reader of standard output that has gone does not stop a server.
    let _ = writeln!(text, "serving {} at {scheme}://{address}", server.name());
    let _ = output::print(&text);
}
