//! The server's state, and the one way from a question to its rewards.
//!
//! Knows nothing of routes. Everything that is shared between requests is here.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::time::Instant as StdInstant;

use axum::http::StatusCode;
use model::PrefixCache;
use prompt::{PictureCounts, Processor};
use serde::Serialize;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{Duration, timeout_at};
use utoipa::ToSchema;

use crate::admission::{Gate, Place};
use crate::auth::Keys;
use crate::batcher::{Batcher, Job};
use crate::card::Card;
use crate::config::{Config, Identity, Limits, Served};
use crate::error::ApiError;
use crate::feedback::FeedbackFile;
use crate::lifecycle::Lifecycle;
use crate::metrics::Metrics;
use crate::model_thread::{self, Computed, Rewarded};
use crate::pictures::{Found, PictureRules};
use crate::prepare::{Prepared, Preparer};
use crate::request::Ask;
use crate::request_id::RequestIds;

/// Addresses that are fetched for at a time, by requests.
const MAX_FETCHING: usize = 8;
/// Bodies up to this size whose pictures are kept are tokenized where they were read: that takes a few milliseconds at most, and saves
/// handing them to another thread and back.
const SMALL_BODY_BYTES: usize = 8 << 10;

/// A running server. Cheap to clone.
#[derive(Clone)]
pub struct Server(Arc<Inner>);

struct Inner {
    name: String,
    identity: Identity,
    limits: Limits,
    keys: Keys,
    gate: Gate,
    preparer: Arc<Preparer>,
    preparing: Arc<Semaphore>,
    fetching: Arc<Semaphore>,
    queue: SyncSender<Job>,
    lifecycle: Arc<Lifecycle>,
    metrics: Arc<Metrics>,
    request_ids: RequestIds,
    card: Option<Card>,
    feedback: Option<Arc<FeedbackFile>>,
}

/// Why a server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A folder of pictures is not there.
    #[error("a folder of --allow-path cannot be used: {source}; give folders that exist")]
    Root {
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The preference file cannot be written.
    #[error("`{}` of --feedback cannot be appended to: {source}; give a file in a folder that can be written", path.display())]
    Feedback {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The system gave no thread.
    #[error("cannot start the thread of the model: {source}")]
    Thread {
        /// What the operating system said.
        source: std::io::Error,
    },
}

/// Rewards of what was asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    /// One for each response, in order, exactly as the model gave it.
    pub rewards: Vec<f32>,
    /// Tokens that it took.
    pub usage: Usage,
    /// Time that it took.
    pub timings: Timings,
}

/// Tokens of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Usage {
    /// Tokens before the responses.
    pub prompt_tokens: usize,
    /// Tokens of each response, the marks of its turn among them.
    pub response_tokens: Vec<usize>,
    /// Tokens that stand for pictures, in each conversation.
    pub image_tokens: usize,
    /// Tokens that were computed once for several responses.
    pub shared_tokens: usize,
    /// Tokens that were known from an earlier request.
    pub cached_tokens: usize,
}

impl Usage {
    /// Tokens of each conversation, whether computed for it alone or not.
    pub fn conversation_tokens(&self) -> impl Iterator<Item = usize> {
        self.response_tokens.iter().map(|response| self.prompt_tokens + response)
    }
}

/// Times of a request, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
pub struct Timings {
    /// From the queue to the model.
    pub queue_ms: f64,
    /// Decoding and tokenizing.
    pub prepare_ms: f64,
    /// The batch that it was scored in.
    pub compute_ms: f64,
    /// From the arrival of its head.
    pub total_ms: f64,
}

impl Server {
    /// Starts the thread of the model.
    ///
    /// # Errors
    /// A folder that is not there, or a system without threads.
    pub fn start(served: Served, config: Config) -> Result<Self, StartError> {
        let Served { name, model, processor, identity } = served;
        let Config { api_keys, access, limits, card, feedback } = config;
        let rules =
            PictureRules::new(&access, &limits).map_err(|source| StartError::Root { source })?;
        let max_bytes = limits.max_feedback_bytes;
        let feedback = feedback.map(|path| open_feedback(path, max_bytes)).transpose()?;
        let (lifecycle, metrics) = (Arc::new(Lifecycle::default()), Arc::new(Metrics::default()));
        let gate = Gate::new(&limits);
        let (queue, jobs) = sync_channel(limits.max_requests.max(1));
        let bounds = (limits.batch_window, limits.batch_tokens);
        let batcher = Batcher::new(jobs, gate.inside(), bounds, Arc::clone(&metrics));
        let cache = PrefixCache::new(limits.cache_bytes);
        let (of_thread, counted) = (Arc::clone(&lifecycle), Arc::clone(&metrics));
        std::thread::Builder::new()
            .name("model".to_owned())
            .spawn(move || model_thread::run(&model, batcher, cache, of_thread, &counted))
            .map_err(|source| StartError::Thread { source })?;
        Ok(Self(Arc::new(Inner {
            name,
            identity,
            keys: Keys::new(&api_keys),
            gate,
            preparer: Arc::new(Preparer::new(processor, rules, &limits)),
            preparing: Arc::new(Semaphore::new(limits.max_preparing.max(1))),
            fetching: Arc::new(Semaphore::new(MAX_FETCHING)),
            queue,
            lifecycle,
            metrics,
            request_ids: RequestIds::new(),
            card,
            feedback,
            limits,
        })))
    }

    /// Name of the model.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Hashes of the model.
    pub fn identity(&self) -> &Identity {
        &self.0.identity
    }

    /// Bounds on requests.
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// Counts and times.
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// What has been found and kept of decoded pictures.
    pub(crate) fn picture_counts(&self) -> PictureCounts {
        self.0.preparer.picture_counts()
    }

    /// Whether the server is ready, and the way to stop it.
    pub fn lifecycle(&self) -> &Lifecycle {
        &self.0.lifecycle
    }

    /// The chat template, tokenizer and image processor of the model.
    pub fn processor(&self) -> &Processor {
        &self.0.preparer.processor
    }

    /// What people are told of the model.
    pub fn card(&self) -> Option<&Card> {
        self.0.card.as_ref()
    }

    /// Where choices of people are kept.
    pub(crate) fn feedback(&self) -> Option<Arc<FeedbackFile>> {
        self.0.feedback.clone()
    }

    pub(crate) fn keys(&self) -> &Keys {
        &self.0.keys
    }

    pub(crate) fn gate(&self) -> &Gate {
        &self.0.gate
    }

    pub(crate) fn request_ids(&self) -> &RequestIds {
        &self.0.request_ids
    }

    /// Rewards of questions that have their place. The one way to a reward.
    ///
    /// # Errors
    /// Whatever is wrong with the questions, and a time that is over.
    pub async fn score(&self, ask: Ask, place: &Place) -> Result<Scored, ApiError> {
        self.check_model(ask.model.as_deref())?;
        let limits = self.limits();
        let timeout = ask.timeout.or(place.timeout).unwrap_or(limits.timeout);
        let deadline = place.arrived + timeout.min(limits.max_timeout);
        let scored = timeout_at(deadline, self.score_in_time(ask, place)).await;
        scored.map_err(|_| ApiError::deadline_exceeded())?
    }

    /// # Errors
    /// A name that is not that of the model.
    pub fn check_model(&self, asked: Option<&str>) -> Result<(), ApiError> {
        match asked {
            Some(asked) if asked != self.name() => Err(ApiError::new(
                StatusCode::NOT_FOUND,
                "model_not_found",
                format!("the model is `{}`; ask for it, or leave out `model`", self.name()),
            )
            .at("model")),
            _ => Ok(()),
        }
    }

    async fn score_in_time(&self, ask: Ask, place: &Place) -> Result<Scored, ApiError> {
        let (prepared, prepare_time) = self.prepare(ask, place.body_bytes).await?;
        let Prepared {
            conversations,
            places,
            beginning,
            prompt_tokens,
            response_tokens,
            image_tokens,
        } = prepared;
        let tokens: usize = conversations.iter().map(prompt::Encoded::len).sum();
        let num_pictured = conversations.iter().map(prompt::Encoded::visual_tokens).sum::<usize>();
        let computed = self.compute(conversations, beginning, &places).await?;
        let Computed { rewarded, queue_time, compute_time } = computed;
        let Rewarded { rewards, shared_tokens, cached_tokens } = rewarded;
        let total = place.arrived.elapsed();
        let metrics = self.metrics();
        metrics.rewards.add(rewards.len() as u64);
        metrics.tokens.add(tokens as u64);
        metrics.image_tokens.add(num_pictured as u64);
        metrics.shared_tokens.add(shared_tokens as u64);
        metrics.cached_tokens.add(cached_tokens as u64);
        metrics.prepare_time.time(prepare_time);
        metrics.queue_time.time(queue_time);
        metrics.total_time.time(total);
        let millis = |time: Duration| (time.as_secs_f64() * 1e6).round() / 1e3;
        Ok(Scored {
            rewards,
            usage: Usage {
                prompt_tokens,
                response_tokens,
                image_tokens,
                shared_tokens,
                cached_tokens,
            },
            timings: Timings {
                queue_ms: millis(queue_time),
                prepare_ms: millis(prepare_time),
                compute_ms: millis(compute_time),
                total_ms: millis(total),
            },
        })
    }

    /// Fetches what has to be fetched, then decodes and tokenizes.
    async fn prepare(&self, ask: Ask, body_bytes: usize) -> Result<(Prepared, Duration), ApiError> {
        let outside = self.0.preparer.rules.survey(&ask.questions)?;
        if body_bytes <= SMALL_BODY_BYTES && outside.is_empty() {
            let began = StdInstant::now();
            if let Some(prepared) = self.0.preparer.prepare_kept(&ask.questions)? {
                return Ok((prepared, began.elapsed()));
            }
        }
        let found = self.fetch(outside.urls).await?;
        let preparer = Arc::clone(&self.0.preparer);
        blocking(&self.0.preparing, move || {
            let began = StdInstant::now();
            let prepared = preparer.prepare(&ask.questions, &outside.files, found)?;
            Ok((prepared, began.elapsed()))
        })
        .await
    }

    /// Work with the chat template, where it holds up no other request.
    pub(crate) async fn with_processor<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Processor) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let preparer = Arc::clone(&self.0.preparer);
        blocking(&self.0.preparing, move || work(&preparer.processor)).await
    }

    async fn fetch(&self, urls: Vec<(String, String)>) -> Result<Found, ApiError> {
        if urls.is_empty() {
            return Ok(Found::new());
        }
        let preparer = Arc::clone(&self.0.preparer);
        blocking(&self.0.fetching, move || preparer.rules.fetch(&urls)).await
    }

    async fn compute(
        &self,
        conversations: Vec<prompt::Encoded>,
        prompt_tokens: usize,
        places: &[String],
    ) -> Result<Computed, ApiError> {
        let (reply, answer) = oneshot::channel();
        let job = Job { conversations, prompt_tokens, queued: StdInstant::now(), reply };
        self.0.queue.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => ApiError::overloaded(),
            TrySendError::Disconnected(_) => ApiError::internal(),
        })?;
        // No answer at all means that the thread of the model has ended.
        let scored = answer.await.map_err(|_| ApiError::internal())?;
        scored.map_err(|error| {
            let place = &places[error.index()];
            ApiError::from(error).at(place)
        })
    }
}

fn open_feedback(path: PathBuf, max_bytes: u64) -> Result<Arc<FeedbackFile>, StartError> {
    match FeedbackFile::open(&path, max_bytes) {
        Ok(file) => Ok(Arc::new(file)),
        Err(source) => Err(StartError::Feedback { path, source }),
    }
}

/// Runs work that blocks, as many at a time as there are permits. Work whose caller has gone before its turn is not begun.
async fn blocking<T: Send + 'static>(
    permits: &Arc<Semaphore>,
    work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let permit = Arc::clone(permits).acquire_owned().await.map_err(|_| ApiError::internal())?;
    let work = move || {
        let result = work();
        drop(permit);
        result
    };
    tokio::task::spawn_blocking(work).await.map_err(|_| ApiError::internal())?
}
