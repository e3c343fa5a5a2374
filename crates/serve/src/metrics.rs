//! Counters in Prometheus' text format, version 0.0.4.

use crate::service::Service;
use cupola_watch::Brief;
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Upper ends of the latency buckets in seconds.
const BUCKETS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

#[derive(Default)]
pub(crate) struct Metrics {
    /// By route.
    requests: Mutex<BTreeMap<String, Requests>>,
    rows: AtomicU64,
    /// Answers of challengers that went to nobody: made, and left out.
    shadows: [AtomicU64; 2],
    batches: AtomicU64,
    batched: AtomicU64,
    /// Labels that are kept, by model.
    labels: Mutex<BTreeMap<String, u64>>,
    /// What was answered in the last minutes.
    pulse: Mutex<Pulse>,
    /// Columns come from the models' schemas, so that clients cannot make this grow.
    unseen: Mutex<BTreeMap<(String, Arc<str>), u64>>,
}

#[derive(Default)]
struct Requests {
    by_status: BTreeMap<u16, u64>,
    /// By bucket of latency.
    counts: [u64; BUCKETS.len()],
    count: u64,
    sum_s: f64,
}

/// A counter that panicked half-way is still a counter.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What was answered in some seconds.
#[derive(Clone)]
pub(crate) struct Beat {
    /// Counted in beats since the server began.
    number: u64,
    pub(crate) requests: u64,
    /// Answers that say it was the server's fault, or that it had no time.
    pub(crate) failed: u64,
    /// By time: three an octave of microseconds.
    times: [u32; TIMES],
}

const TIMES: usize = 80;
/// How long a beat is, and how many are kept.
pub(crate) const BEAT: Duration = Duration::from_secs(10);
pub(crate) const BEATS: u64 = 90;

struct Pulse {
    began: Instant,
    beats: VecDeque<Beat>,
}

impl Default for Pulse {
    fn default() -> Self {
        Pulse { began: Instant::now(), beats: VecDeque::new() }
    }
}

impl Pulse {
    fn number(&self) -> u64 {
        self.began.elapsed().as_secs() / BEAT.as_secs()
    }

    fn count(&mut self, status: u16, took: Duration) {
        let number = self.number();
        if self.beats.back().is_none_or(|beat| beat.number != number) {
            self.beats.push_back(Beat { number, requests: 0, failed: 0, times: [0; TIMES] });
            self.beats.retain(|beat| beat.number + BEATS > number);
        }
        let Some(beat) = self.beats.back_mut() else { return };
        beat.requests += 1;
        beat.failed += u64::from(status >= 500 || status == 429);
        let place = ((took.as_secs_f64() * 1e6).max(1.0).log2() * 3.0) as usize;
        beat.times[place.min(TIMES - 1)] += 1;
    }
}

impl Beat {
    /// So many seconds or fewer took this share of the answers, within an eighth.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let mut below = 0;
        let place = self.times.iter().position(|count| {
            below += u64::from(*count);
            below as f64 >= share * self.requests as f64
        });
        2f64.powf((place.unwrap_or(0) as f64 + 0.5) / 3.0) / 1e6
    }
}

/// Whether a route answers rows.
fn is_answer(route: &str) -> bool {
    route.ends_with("/predict") || route.ends_with("/infer")
}

impl Metrics {
    /// The last minutes, a beat each; none where nothing was asked.
    pub(crate) fn beats(&self) -> Vec<Option<Beat>> {
        let pulse = lock(&self.pulse);
        let now = pulse.number();
        let ago = (0..BEATS).rev().map(|ago| now.checked_sub(ago));
        ago.map(|number| pulse.beats.iter().find(|beat| Some(beat.number) == number).cloned()).collect()
    }

    pub(crate) fn request(&self, route: &str, status: u16, took: Duration) {
        if is_answer(route) {
            lock(&self.pulse).count(status, took);
        }
        let mut routes = lock(&self.requests);
        if !routes.contains_key(route) {
            routes.insert(route.to_owned(), Requests::default());
        }
        let Some(requests) = routes.get_mut(route) else { return };
        let seconds = took.as_secs_f64();
        *requests.by_status.entry(status).or_default() += 1;
        requests.count += 1;
        requests.sum_s += seconds;
        if let Some(bucket) = BUCKETS.iter().position(|end| seconds <= *end) {
            requests.counts[bucket] += 1;
        }
    }

    pub(crate) fn rows(&self, rows: usize) {
        self.rows.fetch_add(rows as u64, Ordering::Relaxed);
    }

    /// Whether a challenger has answered in the shadow.
    pub(crate) fn shadow(&self, is_made: bool) {
        self.shadows[usize::from(!is_made)].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn labels(&self, model: &str, count: usize) {
        *lock(&self.labels).entry(model.to_owned()).or_default() += count as u64;
    }

    /// Rows that were answered together.
    pub(crate) fn batch(&self, rows: usize) {
        self.batches.fetch_add(1, Ordering::Relaxed);
        self.batched.fetch_add(rows as u64, Ordering::Relaxed);
    }

    pub(crate) fn unseen(&self, model: &str, column: &Arc<str>, count: u64) {
        *lock(&self.unseen).entry((model.to_owned(), column.clone())).or_default() += count;
    }

    pub(crate) fn text(&self, services: &[Arc<Service>], waiting: usize, secrets: &[(&str, [u64; 2])]) -> String {
        let mut text = String::new();
        family(&mut text, "cupola_requests_total", "counter", "Requests answered, by route and status.");
        for (route, requests) in &*lock(&self.requests) {
            for (status, count) in &requests.by_status {
                line(&mut text, "cupola_requests_total", &[("route", route), ("status", &status.to_string())], count);
            }
        }
        self.latencies(&mut text);
        family(&mut text, "cupola_rows_total", "counter", "Rows answered.");
        line(&mut text, "cupola_rows_total", &[], self.rows.load(Ordering::Relaxed));
        family(&mut text, "cupola_batches_total", "counter", "Batches of rows that waited for each other.");
        line(&mut text, "cupola_batches_total", &[], self.batches.load(Ordering::Relaxed));
        family(&mut text, "cupola_batched_rows_total", "counter", "Rows in those batches.");
        line(&mut text, "cupola_batched_rows_total", &[], self.batched.load(Ordering::Relaxed));
        family(&mut text, "cupola_unseen_total", "counter", "Categories that training did not see, by column.");
        for ((model, column), count) in &*lock(&self.unseen) {
            line(&mut text, "cupola_unseen_total", &[("model", model), ("column", column)], count);
        }
        family(&mut text, "cupola_queue", "gauge", "Requests that wait for a worker.");
        line(&mut text, "cupola_queue", &[], waiting);
        family(&mut text, "cupola_build_info", "gauge", "The version that runs.");
        line(&mut text, "cupola_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
        family(
            &mut text,
            "cupola_shadow_answers_total",
            "counter",
            "Answers of challengers that go to nobody: made, or left out for want of time.",
        );
        for (outcome, count) in ["made", "left_out"].iter().zip(&self.shadows) {
            line(&mut text, "cupola_shadow_answers_total", &[("outcome", outcome)], count.load(Ordering::Relaxed));
        }
        family(&mut text, "cupola_labels_total", "counter", "Labels that came as feedback and are kept.");
        for (model, count) in &*lock(&self.labels) {
            line(&mut text, "cupola_labels_total", &[("model", model)], count);
        }
        models(&mut text, services);
        renewals(&mut text, secrets);
        logs(&mut text, services);
        monitors(&mut text, services);
        text
    }

    fn latencies(&self, text: &mut String) {
        let name = "cupola_request_seconds";
        family(text, name, "histogram", "Time from the end of the headers to the answer.");
        for (route, requests) in &*lock(&self.requests) {
            let mut below = 0;
            for (end, count) in BUCKETS.iter().zip(requests.counts) {
                below += count;
                line(text, &format!("{name}_bucket"), &[("route", route), ("le", &end.to_string())], below);
            }
            line(text, &format!("{name}_bucket"), &[("route", route), ("le", "+Inf")], requests.count);
            line(text, &format!("{name}_sum"), &[("route", route)], requests.sum_s);
            line(text, &format!("{name}_count"), &[("route", route)], requests.count);
        }
    }
}

fn models(text: &mut String, services: &[Arc<Service>]) {
    family(text, "cupola_model_info", "gauge", "The models that are served.");
    for service in services {
        for (alias, model) in service.lineup().models() {
            let labels = [("model", &*service.name), ("alias", alias), ("version", &model.version), ("hash", model.artifact.hash())];
            line(text, "cupola_model_info", &labels, 1);
        }
    }
    family(text, "cupola_reloads_total", "counter", "Exchanges of models while serving, by how they ended.");
    for service in services {
        let reloads = service.reloads();
        line(text, "cupola_reloads_total", &[("model", &service.name), ("outcome", "done")], reloads.done);
        line(text, "cupola_reloads_total", &[("model", &service.name), ("outcome", "failed")], reloads.failed);
    }
}

fn renewals(text: &mut String, secrets: &[(&str, [u64; 2])]) {
    if secrets.is_empty() {
        return;
    }
    family(text, "cupola_secret_reloads_total", "counter", "Times that changed tokens or certificates were read again, by how it ended.");
    for (secret, [done, failed]) in secrets {
        line(text, "cupola_secret_reloads_total", &[("secret", secret), ("outcome", "done")], done);
        line(text, "cupola_secret_reloads_total", &[("secret", secret), ("outcome", "failed")], failed);
    }
}

fn logs(text: &mut String, services: &[Arc<Service>]) {
    if services.iter().all(|service| service.log.is_none()) {
        return;
    }
    family(text, "cupola_log_rows_total", "counter", "Rows for the prediction log: kept, dropped for want of room, failed.");
    let logs = || services.iter().filter_map(|service| Some((&*service.name, service.log.as_ref()?.counts())));
    for (model, counts) in logs() {
        for (outcome, rows) in [("kept", counts.rows), ("dropped", counts.dropped), ("failed", counts.failed)] {
            line(text, "cupola_log_rows_total", &[("model", model), ("outcome", outcome)], rows);
        }
    }
    family(text, "cupola_log_waiting_bytes", "gauge", "Bytes that wait to be written to the prediction log.");
    for (model, counts) in logs() {
        line(text, "cupola_log_waiting_bytes", &[("model", model)], counts.waiting);
    }
}

/// Most alarms of a model that are a series each.
const ALARMS_MAX: usize = 200;

fn monitors(text: &mut String, services: &[Arc<Service>]) {
    let seen: Vec<_> = services.iter().filter_map(|service| Some((service, service.monitor.as_ref()?))).collect();
    if seen.is_empty() {
        return;
    }
    let gauges = [
        ("cupola_monitor_skipped_rows_total", "counter", "Rows that were not watched for want of time."),
        ("cupola_monitor_notes", "gauge", "What somebody should know of watching itself: /health says it."),
        ("cupola_alarms_raised", "gauge", "Alarms that are raised and not over."),
        ("cupola_alarm", "gauge", "1 for each alarm that is raised."),
        ("cupola_window_rows", "gauge", "Rows of the newest window that is over."),
        ("cupola_window_end_seconds", "gauge", "When its last row was answered, in seconds since 1970."),
        ("cupola_drift", "gauge", "Drift of inputs in that window, as a multiple of what matters."),
        ("cupola_quality", "gauge", "Quality in that window: when the model was made, with labels, expected without."),
    ];
    for (name, kind, help) in gauges {
        family(text, name, kind, help);
        for (service, monitor) in &seen {
            let model = ("model", &*service.name);
            let told = monitor.told();
            let report = told.report.as_ref();
            match name {
                "cupola_monitor_skipped_rows_total" => line(text, name, &[model], monitor.skipped()),
                "cupola_monitor_notes" => line(text, name, &[model], monitor.notes().len()),
                "cupola_alarms_raised" => line(text, name, &[model], told.raised.len()),
                "cupola_alarm" => told.raised.iter().take(ALARMS_MAX).for_each(|key| line(text, name, &[model, ("key", key)], 1)),
                "cupola_window_rows" => report.iter().for_each(|report| line(text, name, &[model], report.rows)),
                "cupola_window_end_seconds" => {
                    let end = report.and_then(|report| report.period).map(|period| period[1] as f64 / 1e6);
                    end.iter().for_each(|end| line(text, name, &[model], end));
                }
                "cupola_drift" => {
                    let drift = report.map(|report| Brief::new(report).drift).unwrap_or_default();
                    drift.iter().for_each(|(column, drift)| line(text, name, &[model, ("column", column)], drift));
                }
                _ => report.iter().flat_map(|report| &report.targets).for_each(|target| {
                    for (kind, qualities) in [("made", &target.reference), ("live", &target.live), ("expected", &target.estimated)] {
                        for quality in qualities {
                            let labels = [model, ("target", &*target.target), ("metric", &*quality.metric), ("kind", kind)];
                            line(text, name, &labels, quality.value);
                        }
                    }
                }),
            }
        }
    }
}

fn family(text: &mut String, name: &str, kind: &str, help: &str) {
    writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}").expect("a string can be written to");
}

fn line(text: &mut String, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
    let escape = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escape(value))).collect();
    let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
    writeln!(text, "{name}{labels} {value}").expect("a string can be written to");
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn text_is_what_prometheus_reads() {
        let metrics = Metrics::default();
        metrics.request("/predict", 200, Duration::from_millis(2));
        metrics.request("/predict", 422, Duration::from_secs(60));
        metrics.unseen("m", &"a \"quoted\"\nname".into(), 3);
        let text = metrics.text(&[], 5, &[]);
        let kept: Vec<&str> = text.lines().filter(|line| !line.starts_with('#') && !line.contains("build_info")).collect();
        expect![[r#"
            cupola_requests_total{route="/predict",status="200"} 1
            cupola_requests_total{route="/predict",status="422"} 1
            cupola_request_seconds_bucket{route="/predict",le="0.0005"} 0
            cupola_request_seconds_bucket{route="/predict",le="0.001"} 0
            cupola_request_seconds_bucket{route="/predict",le="0.0025"} 1
            cupola_request_seconds_bucket{route="/predict",le="0.005"} 1
            cupola_request_seconds_bucket{route="/predict",le="0.01"} 1
            cupola_request_seconds_bucket{route="/predict",le="0.025"} 1
            cupola_request_seconds_bucket{route="/predict",le="0.05"} 1
            cupola_request_seconds_bucket{route="/predict",le="0.1"} 1
            cupola_request_seconds_bucket{route="/predict",le="0.25"} 1
            cupola_request_seconds_bucket{route="/predict",le="1"} 1
            cupola_request_seconds_bucket{route="/predict",le="5"} 1
            cupola_request_seconds_bucket{route="/predict",le="30"} 1
            cupola_request_seconds_bucket{route="/predict",le="+Inf"} 2
            cupola_request_seconds_sum{route="/predict"} 60.002
            cupola_request_seconds_count{route="/predict"} 2
            cupola_rows_total 0
            cupola_batches_total 0
            cupola_batched_rows_total 0
            cupola_unseen_total{model="m",column="a \"quoted\"\nname"} 3
            cupola_queue 5
            cupola_shadow_answers_total{outcome="made"} 0
            cupola_shadow_answers_total{outcome="left_out"} 0"#]]
        .assert_eq(&kept.join("\n"));
    }
}
