//! Times of single calls, and a table of them.

use std::fmt;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use futures::future::{BoxFuture, LocalBoxFuture};
use tokio::runtime::Runtime;

/// Ways that are compared take turns this often; figures are medians of the rounds.
const ROUNDS: usize = 9;
/// How long a way is at work in each round.
const ROUND: Duration = Duration::from_millis(250);
/// The same before the time that counts.
const WARM_UP: Duration = Duration::from_millis(40);

/// A way to make a call.
pub struct Way<'a> {
    name: String,
    callers: Callers<'a>,
}

enum Callers<'a> {
    /// Each caller has a thread with a runtime of its own.
    Threads(Box<dyn Fn() -> LocalBoxFuture<'a, ()> + Sync + 'a>),
    /// Each caller is a task on the runtime of a host.
    Tasks(&'a Runtime, Arc<dyn Fn(usize) -> BoxFuture<'static, ()> + Send + Sync>),
}

impl<'a> Way<'a> {
    pub fn on_threads(name: &str, call: impl Fn() -> LocalBoxFuture<'a, ()> + Sync + 'a) -> Self {
        Self { name: name.to_owned(), callers: Callers::Threads(Box::new(call)) }
    }

    /// `call` hears which caller it is for, from 0.
    pub fn in_tasks(
        name: &str,
        runtime: &'a Runtime,
        call: impl Fn(usize) -> BoxFuture<'static, ()> + Send + Sync + 'static,
    ) -> Self {
        Self { name: name.to_owned(), callers: Callers::Tasks(runtime, Arc::new(call)) }
    }

    fn round(&self, callers: usize) -> Round {
        let (nanos, spent) = match &self.callers {
            Callers::Threads(call) => on_threads(callers, &**call),
            Callers::Tasks(runtime, call) => in_tasks(callers, runtime, call),
        };
        let mut nanos: Vec<u64> = nanos.into_iter().flatten().collect();
        nanos.sort_unstable();
        let quantile = |part: f64| {
            let at = (nanos.len().saturating_sub(1) as f64 * part).round() as usize;
            nanos.get(at).map_or(f64::NAN, |nanos| *nanos as f64 / 1000.0)
        };
        Round {
            p50: quantile(0.5),
            p99: quantile(0.99),
            per_second: nanos.len() as f64 / spent.as_secs_f64(),
        }
    }
}

/// Times in microseconds.
struct Round {
    p50: f64,
    p99: f64,
    per_second: f64,
}

fn on_threads<'a>(
    callers: usize,
    call: &(dyn Fn() -> LocalBoxFuture<'a, ()> + Sync + 'a),
) -> (Vec<Vec<u64>>, Duration) {
    let start = Barrier::new(callers);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..callers)
            .map(|_| {
                scope.spawn(|| {
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                    runtime.block_on(async {
                        repeat(WARM_UP, call).await;
                        start.wait();
                        let begin = Instant::now();
                        (repeat(ROUND, call).await, begin.elapsed())
                    })
                })
            })
            .collect();
        let (nanos, spent): (_, Vec<_>) = workers.into_iter().map(|worker| worker.join().unwrap()).unzip();
        (nanos, spent.into_iter().max().unwrap_or_default())
    })
}

fn in_tasks(
    callers: usize,
    runtime: &Runtime,
    call: &Arc<dyn Fn(usize) -> BoxFuture<'static, ()> + Send + Sync>,
) -> (Vec<Vec<u64>>, Duration) {
    runtime.block_on(async {
        let start = Arc::new(tokio::sync::Barrier::new(callers));
        let workers: Vec<_> = (0..callers)
            .map(|caller| {
                let (call, start) = (call.clone(), start.clone());
                tokio::spawn(async move {
                    repeat(WARM_UP, || call(caller)).await;
                    start.wait().await;
                    let begin = Instant::now();
                    (repeat(ROUND, || call(caller)).await, begin.elapsed())
                })
            })
            .collect();
        let (mut nanos, mut longest) = (Vec::new(), Duration::ZERO);
        for worker in workers {
            let (times, spent) = worker.await.unwrap();
            nanos.push(times);
            longest = longest.max(spent);
        }
        (nanos, longest)
    })
}

/// The times of calls one after another, in nanoseconds; at least one.
async fn repeat<F: Future<Output = ()>>(span: Duration, call: impl Fn() -> F) -> Vec<u64> {
    let mut nanos = Vec::new();
    let begin = Instant::now();
    let mut now = begin;
    while nanos.is_empty() || now - begin < span {
        call().await;
        let after = Instant::now();
        nanos.push(u64::try_from((after - now).as_nanos()).unwrap_or(u64::MAX));
        now = after;
    }
    nanos
}

/// Rows in Markdown.
#[derive(Default)]
pub struct Table {
    rows: Vec<String>,
}

impl Table {
    /// Lets `ways` take turns with so many callers each, and compares all with the first.
    pub fn compare(&mut self, callers: usize, ways: &[Way<'_>]) {
        let mut rounds: Vec<Vec<Round>> = ways.iter().map(|_| Vec::with_capacity(ROUNDS)).collect();
        for _ in 0..ROUNDS {
            for (way, rounds) in ways.iter().zip(&mut rounds) {
                rounds.push(way.round(callers));
            }
        }
        for (way, own) in ways.iter().zip(&rounds) {
            let p50 = median(own.iter().map(|round| round.p50));
            let p99 = median(own.iter().map(|round| round.p99));
            let rate = median(own.iter().map(|round| round.per_second));
            // Of rounds that ran side by side: a slow second of the machine is in both.
            let against = |of: fn(&Round) -> f64| {
                median(own.iter().zip(&rounds[0]).map(|(own, base)| of(own) / of(base)))
            };
            let (half, most) = (against(|round| round.p50), against(|round| round.p99));
            let name = &way.name;
            let row =
                format!("| {name} | {callers} | {p50:.1} | {p99:.1} | {rate:.0} | {half:.2} | {most:.2} |");
            // The whole takes minutes: show that it goes on.
            println!("{row}");
            self.rows.push(row);
        }
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n| call | callers | p50 µs | p99 µs | calls/s | × p50 | × p99 |")?;
        writeln!(f, "|---|---|---|---|---|---|---|")?;
        self.rows.iter().try_for_each(|row| writeln!(f, "{row}"))
    }
}
