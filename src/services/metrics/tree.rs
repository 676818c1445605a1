//! What is measured of the supervision tree, and of the daemon's health.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use switchyard_actors::supervision::{
    KindHistory, KindTotals, ParkCause, Phase, Refusal, Tree, Unparker, Verdict,
};

use crate::services::admin::Admin;

/// A label of a series.
type Label = (&'static str, &'static str);

/// A series of a counter: its labels and its value.
type Count<const N: usize> = ([Label; N], u64);

/// Series of a counter, under one name.
fn counters<const N: usize>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    series: impl IntoIterator<Item = Count<N>>,
) -> fmt::Result {
    family(encoder, name, help, MetricType::Counter, series, ConstCounter::<u64>::new)
}

/// Series of a gauge, under one name.
fn gauges<const N: usize>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    series: impl IntoIterator<Item = ([Label; N], usize)>,
) -> fmt::Result {
    let series = series.into_iter().map(|(labels, value)| (labels, i64::try_from(value).unwrap_or(i64::MAX)));
    family(encoder, name, help, MetricType::Gauge, series, ConstGauge::<i64>::new)
}

fn family<const N: usize, V, M: EncodeMetric>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    kind: MetricType,
    series: impl IntoIterator<Item = ([Label; N], V)>,
    metric: fn(V) -> M,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, kind)?;
    for (labels, value) in series {
        metric(value).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

fn counter(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    value: impl EncodeCounterValue,
) -> fmt::Result {
    let family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    ConstCounter::new(value).encode(family)
}

fn gauge(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    value: impl EncodeGaugeValue,
) -> fmt::Result {
    let family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    ConstGauge::new(value).encode(family)
}

/// The supervision tree.
#[derive(Debug)]
pub(super) struct TreeMetrics {
    tree: Tree,
}

impl TreeMetrics {
    pub(super) const fn new(tree: Tree) -> Self {
        Self { tree }
    }
}

impl Collector for TreeMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let encoder = &mut encoder;
        let totals = self.tree.totals();
        let states = totals.iter().flat_map(|total| {
            total.states.iter().map(|(state, count)| ([kind(total), ("state", state.as_str())], *count))
        });
        gauges(encoder, "children", "Actors by kind and state; branches are of the kind supervisor", states)?;
        happened(encoder, &totals)?;
        refused(encoder, &totals)?;
        let loads = self.tree.mailboxes();
        let of = |name: &&'static str| [("kind", *name)];
        let messages = loads.iter().map(|(name, load)| (of(name), load.messages));
        gauges(encoder, "mailbox_messages", "Messages in the mailboxes of a kind, all together", messages)?;
        let deepest = loads.iter().map(|(name, load)| (of(name), load.deepest));
        gauges(encoder, "mailbox_deepest", "Messages in the fullest mailbox of a kind", deepest)?;
        let help = "Events that the sink of events did not take, because it panicked over them";
        counter(encoder, "events_lost", help, self.tree.events_lost())?;
        let help =
            "Log lines that were counted instead of written, because others of their signature were written";
        counter(encoder, "log_lines_withheld", help, self.tree.lines_withheld())
    }
}

const fn kind(total: &KindTotals) -> Label {
    ("kind", total.kind)
}

fn happened(encoder: &mut DescriptorEncoder<'_>, totals: &[KindTotals]) -> fmt::Result {
    let starts = totals.iter().map(|total| ([kind(total)], total.history.starts));
    let help = "Starts of actors that came up: first ones, restarts, probes and orders";
    counters(encoder, "starts", help, starts)?;
    let restarts = totals.iter().map(|total| ([kind(total)], total.history.restarts));
    counters(encoder, "restarts", "Restarts of actors after a failure or an end", restarts)?;
    let failures = totals.iter().flat_map(|total| {
        let count = |phase: Phase| total.history.failures.get(&phase).copied().unwrap_or(0);
        Phase::ALL.map(|phase| ([kind(total), ("phase", phase.as_str())], count(phase)))
    });
    counters(encoder, "failures", "Failures of actors by what they were doing", failures)?;
    let contained = totals.iter().flat_map(|total| {
        let count = |phase: Phase| total.history.contained.get(&phase).copied().unwrap_or(0);
        Phase::CONTAINED.map(|phase| ([kind(total), ("phase", phase.as_str())], count(phase)))
    });
    counters(
        encoder,
        "contained_failures",
        "Failures of actors that changed nothing by themselves",
        contained,
    )?;
    let parks = totals.iter().flat_map(|total| {
        let count = |cause: ParkCause| total.history.parks.get(&cause).copied().unwrap_or(0);
        ParkCause::ALL.map(|cause| ([kind(total), ("cause", cause.as_str())], count(cause)))
    });
    counters(encoder, "parks", "Actors taken out of service, by cause", parks)?;
    let unparks = totals.iter().flat_map(|total| {
        let count = |by: Unparker| total.history.unparks.get(&by).copied().unwrap_or(0);
        Unparker::ALL.map(|by| ([kind(total), ("by", by.as_str())], count(by)))
    });
    counters(encoder, "unparks", "Parked actors started again, by whom", unparks)?;
    let sum = |of: fn(&KindHistory) -> u64| {
        totals.iter().map(|total| of(&total.history)).fold(0, u64::saturating_add)
    };
    let escalations = sum(|history| history.escalations);
    counter(encoder, "escalations", "Branches that gave up over too many restarts", escalations)?;
    let help = "Branches that began to start their children slower, because too many failed";
    counter(encoder, "storms", help, sum(|history| history.storms))?;
    let stalls = totals.iter().map(|total| ([kind(total)], total.history.stalls));
    counters(encoder, "stalls", "Actors that did not give their thread back in time", stalls)?;
    let stops = totals.iter().flat_map(|total| {
        let unclean = total.history.unclean_stops;
        let clean = total.history.stops.saturating_sub(unclean);
        [([kind(total), ("clean", "true")], clean), ([kind(total), ("clean", "false")], unclean)]
    });
    let help = "Actors that ended and stay down, by themselves or as told; not clean: with work left";
    counters(encoder, "stops", help, stops)
}

fn refused(encoder: &mut DescriptorEncoder<'_>, totals: &[KindTotals]) -> fmt::Result {
    let refused = totals.iter().flat_map(|total| {
        let count = |why: Refusal| total.refused.get(&why).copied().unwrap_or(0);
        Refusal::ALL.map(|why| ([kind(total), ("reason", why.as_str())], count(why)))
    });
    counters(encoder, "refused_messages", "Messages that mailboxes handed back to their senders", refused)
}

/// The daemon's health.
pub(super) struct DaemonMetrics {
    admin: Arc<dyn Admin>,
    alerts_lost: Box<dyn Fn() -> u64 + Send + Sync>,
}

impl fmt::Debug for DaemonMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DaemonMetrics")
    }
}

impl DaemonMetrics {
    pub(super) fn new(admin: Arc<dyn Admin>, alerts_lost: Box<dyn Fn() -> u64 + Send + Sync>) -> Self {
        Self { admin, alerts_lost }
    }
}

impl Collector for DaemonMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let encoder = &mut encoder;
        let health = self.admin.health();
        gauge(encoder, "ready", "1 when messages are taken and forwarded", i64::from(health.ready))?;
        let verdicts = [(Verdict::Green, "green"), (Verdict::Yellow, "yellow"), (Verdict::Red, "red")];
        let series =
            verdicts.map(|(verdict, word)| ([("verdict", word)], usize::from(verdict == health.verdict)));
        gauges(encoder, "health", "1 for the verdict over the tree of actors, 0 for the others", series)?;
        let help = "Alerts that were given up before they were stored; each is in the log";
        counter(encoder, "alerts_lost", help, (self.alerts_lost)())
    }
}
