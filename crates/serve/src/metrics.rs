//! Counts and times for Prometheus, kept by each server for itself.
//!
//! Names of the metrics are an interface: they are added to and not changed. Nothing of a request is in them.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use model::CacheCounts;
use prompt::PictureCounts;

/// Upper bounds of the buckets of times, in seconds.
const SECONDS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];
/// Upper bounds of the buckets of sizes.
const SIZES: [f64; 12] =
    [1.0, 2.0, 4.0, 8.0, 16.0, 64.0, 256.0, 1024.0, 2048.0, 4096.0, 8192.0, 32768.0];

/// A count that only grows, or a number that goes up and down.
#[derive(Debug, Default)]
pub struct Number(AtomicU64);

impl Number {
    /// Adds to the number.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// Takes from the number.
    pub fn subtract(&self, less: u64) {
        self.0.fetch_sub(less, Ordering::Relaxed);
    }

    /// Replaces the number.
    pub fn set(&self, number: u64) {
        self.0.store(number, Ordering::Relaxed);
    }

    /// The number.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How often values fell into each bucket.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [f64],
    /// One more than there are bounds.
    counts: Vec<Number>,
    /// Sum in millionths.
    sum: Number,
}

impl Histogram {
    fn new(bounds: &'static [f64]) -> Self {
        let counts = (0..=bounds.len()).map(|_| Number::default()).collect();
        Self { bounds, counts, sum: Number::default() }
    }

    /// Counts a time.
    pub fn time(&self, time: Duration) {
        self.count(time.as_secs_f64());
    }

    /// Counts a size.
    pub fn size(&self, size: usize) {
        self.count(size as f64);
    }

    fn count(&self, value: f64) {
        self.counts[self.bounds.partition_point(|bound| *bound < value)].add(1);
        self.sum.add((value * 1e6) as u64);
    }

    fn write(&self, out: &mut String, name: &str, help: &str) {
        heading(out, name, "histogram", help);
        let mut total = 0;
        for (count, bound) in self.counts.iter().zip(self.bounds) {
            total += count.get();
            line(out, &format!("{name}_bucket{{le=\"{bound}\"}}"), total);
        }
        total += self.counts[self.bounds.len()].get();
        line(out, &format!("{name}_bucket{{le=\"+Inf\"}}"), total);
        line(out, &format!("{name}_sum"), self.sum.get() as f64 / 1e6);
        line(out, &format!("{name}_count"), total);
    }
}

/// Everything that a server counts.
#[derive(Debug)]
pub struct Metrics {
    /// Replies by route and status.
    replies: Mutex<BTreeMap<(String, u16), u64>>,
    /// Failures by their code.
    failures: Mutex<BTreeMap<&'static str, u64>>,
    /// Rewards that were given.
    pub rewards: Number,
    /// Answers of rendered texts that lacked their end.
    pub closed_answers: Number,
    /// Requests whose caller had gone before the model saw them.
    pub abandoned: Number,
    /// Tokens of scored conversations.
    pub tokens: Number,
    /// Of them those that stand for pictures.
    pub image_tokens: Number,
    /// Of them those that were computed once for several responses.
    pub shared_tokens: Number,
    /// Of them those that were known from an earlier request.
    pub cached_tokens: Number,
    /// Bytes of prompts and pictures that are kept for later requests.
    pub cache_bytes: Number,
    /// Prompts and pictures that made room for others.
    pub cache_evictions: Number,
    /// Pictures that were needed and had been kept.
    pub picture_hits: Number,
    /// Pictures that had to be decoded.
    pub picture_misses: Number,
    /// Bytes of decoded pictures that are kept for later requests.
    pub picture_bytes: Number,
    /// Decoded pictures that made room for others.
    pub picture_evictions: Number,
    /// Requests that wait for the model after a batch was taken.
    pub queue_depth: Number,
    /// Open connections.
    pub connections: Number,
    /// Connections that made room for others.
    pub closed_connections: Number,
    /// Times from the queue to the model.
    pub queue_time: Histogram,
    /// Times of decoding and tokenizing.
    pub prepare_time: Histogram,
    /// Times of batches.
    pub compute_time: Histogram,
    /// Times of whole scored requests.
    pub total_time: Histogram,
    batch_requests: Histogram,
    batch_conversations: Histogram,
    batch_tokens: Histogram,
}

impl Default for Metrics {
    fn default() -> Self {
        let (times, sizes) = (|| Histogram::new(&SECONDS), || Histogram::new(&SIZES));
        Self {
            replies: Mutex::default(),
            failures: Mutex::default(),
            rewards: Number::default(),
            closed_answers: Number::default(),
            abandoned: Number::default(),
            tokens: Number::default(),
            image_tokens: Number::default(),
            shared_tokens: Number::default(),
            cached_tokens: Number::default(),
            cache_bytes: Number::default(),
            cache_evictions: Number::default(),
            picture_hits: Number::default(),
            picture_misses: Number::default(),
            picture_bytes: Number::default(),
            picture_evictions: Number::default(),
            queue_depth: Number::default(),
            connections: Number::default(),
            closed_connections: Number::default(),
            queue_time: times(),
            prepare_time: times(),
            compute_time: times(),
            total_time: times(),
            batch_requests: sizes(),
            batch_conversations: sizes(),
            batch_tokens: sizes(),
        }
    }
}

impl Metrics {
    /// Counts a reply by the pattern of its route.
    pub fn reply(&self, route: &str, status: u16) {
        let mut replies = self.replies.lock().unwrap_or_else(PoisonError::into_inner);
        *replies.entry((route.to_owned(), status)).or_default() += 1;
    }

    /// Counts a failure.
    pub fn failure(&self, code: &'static str) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        *failures.entry(code).or_default() += 1;
    }

    /// Counts a batch by its requests, conversations and tokens.
    pub(crate) fn batch(&self, [requests, conversations, tokens]: &[usize; 3], time: Duration) {
        self.batch_requests.size(*requests);
        self.batch_conversations.size(*conversations);
        self.batch_tokens.size(*tokens);
        self.compute_time.time(time);
    }

    /// Takes over what the cache has counted.
    pub(crate) fn cache(&self, counts: CacheCounts) {
        self.cache_bytes.set(counts.bytes as u64);
        self.cache_evictions.set(counts.evictions);
    }

    /// Takes over what the cache of decoded pictures has counted.
    pub(crate) fn pictures(&self, counts: PictureCounts) {
        self.picture_hits.set(counts.hits);
        self.picture_misses.set(counts.misses);
        self.picture_bytes.set(counts.bytes as u64);
        self.picture_evictions.set(counts.evictions);
    }

    /// Everything in the text format of Prometheus.
    pub fn text(&self) -> String {
        let mut out = String::new();
        heading(&mut out, "basereward_replies_total", "counter", "Replies by route and status");
        for ((route, status), count) in
            &*self.replies.lock().unwrap_or_else(PoisonError::into_inner)
        {
            let labels = format!("{{route=\"{route}\",status=\"{status}\"}}");
            line(&mut out, &format!("basereward_replies_total{labels}"), count);
        }
        heading(&mut out, "basereward_reward_failed_total", "counter", "Failures by code");
        for (code, count) in &*self.failures.lock().unwrap_or_else(PoisonError::into_inner) {
            line(&mut out, &format!("basereward_reward_failed_total{{code=\"{code}\"}}"), count);
        }
        self.write_numbers(&mut out);
        self.write_histograms(&mut out);
        out
    }

    fn write_numbers(&self, out: &mut String) {
        let counters = [
            ("rewards_total", &self.rewards, "Rewards given"),
            (
                "closed_answers_total",
                &self.closed_answers,
                "Answers of rendered texts that lacked their end mark",
            ),
            ("abandoned_total", &self.abandoned, "Requests whose caller had gone"),
            ("tokens_total", &self.tokens, "Tokens of scored conversations"),
            ("image_tokens_total", &self.image_tokens, "Tokens that stand for pictures"),
            ("shared_tokens_total", &self.shared_tokens, "Tokens shared within requests"),
            ("cached_tokens_total", &self.cached_tokens, "Tokens known from earlier requests"),
            (
                "closed_connections_total",
                &self.closed_connections,
                "Connections that made room for others",
            ),
            ("cache_evictions_total", &self.cache_evictions, "Entries that made room in the cache"),
            ("picture_cache_hits_total", &self.picture_hits, "Pictures that had been kept"),
            ("picture_cache_misses_total", &self.picture_misses, "Pictures that were decoded"),
            (
                "picture_cache_evictions_total",
                &self.picture_evictions,
                "Decoded pictures that made room for others",
            ),
        ];
        for (name, number, help) in counters {
            let name = format!("basereward_{name}");
            heading(out, &name, "counter", help);
            line(out, &name, number.get());
        }
        let gauges = [
            ("queue_depth", &self.queue_depth, "Requests that wait for the model"),
            ("cache_bytes", &self.cache_bytes, "Bytes of the cache of prompts and pictures"),
            ("picture_cache_bytes", &self.picture_bytes, "Bytes of the cache of decoded pictures"),
            ("connections", &self.connections, "Open connections"),
        ];
        for (name, number, help) in gauges {
            let name = format!("basereward_{name}");
            heading(out, &name, "gauge", help);
            line(out, &name, number.get());
        }
    }

    fn write_histograms(&self, out: &mut String) {
        let histograms = [
            ("queue_seconds", &self.queue_time, "Time from the queue to the model"),
            ("prepare_seconds", &self.prepare_time, "Time of decoding and tokenizing"),
            ("compute_seconds", &self.compute_time, "Time of a batch"),
            ("request_seconds", &self.total_time, "Time of a scored request"),
            ("batch_requests", &self.batch_requests, "Requests of a batch"),
            ("batch_conversations", &self.batch_conversations, "Conversations of a batch"),
            ("batch_tokens", &self.batch_tokens, "Tokens of a batch"),
        ];
        for (name, histogram, help) in histograms {
            histogram.write(out, &format!("basereward_{name}"), help);
        }
    }
}

fn heading(out: &mut String, name: &str, kind: &str, help: &str) {
    writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}").expect("a String takes any text");
}

fn line(out: &mut String, name: &str, value: impl std::fmt::Display) {
    writeln!(out, "{name} {value}").expect("a String takes any text");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_count_everything_up_to_their_bound() {
        let histogram = Histogram::new(&[1.0, 2.0]);
        for size in [1, 2, 2, 9] {
            histogram.size(size);
        }
        let mut text = String::new();
        histogram.write(&mut text, "h", "help");
        let expected = "# HELP h help\n# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"2\"} 3\nh_bucket{le=\"+Inf\"} 4\nh_sum 14\nh_count 4\n";
        assert_eq!(text, expected);
    }
}
