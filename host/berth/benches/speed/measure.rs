//! Times of single calls.

use std::sync::{Arc, Barrier, OnceLock};
use std::time::{Duration, Instant};

use futures::future::{BoxFuture, LocalBoxFuture};
use tokio::runtime::Runtime;

use super::report::Effort;

type Local<'a> = Box<dyn Fn() -> LocalBoxFuture<'a, ()> + Sync + 'a>;

/// A way to make a call.
pub struct Way<'a> {
    pub name: String,
    callers: Callers<'a>,
}

enum Callers<'a> {
    /// Each caller has a thread with a runtime of its own; what the second one does before each call takes no time.
    Threads(Local<'a>, Option<Local<'a>>),
    /// Each caller is a task on the runtime of a host.
    Tasks(&'a Runtime, Arc<dyn Fn(usize) -> BoxFuture<'static, ()> + Send + Sync>),
}

impl<'a> Way<'a> {
    pub fn on_threads(name: &str, call: impl Fn() -> LocalBoxFuture<'a, ()> + Sync + 'a) -> Self {
        Self { name: name.to_owned(), callers: Callers::Threads(Box::new(call), None) }
    }

    /// The same, and `before` each call something that does not count.
    pub fn after(
        name: &str,
        before: impl Fn() -> LocalBoxFuture<'a, ()> + Sync + 'a,
        call: impl Fn() -> LocalBoxFuture<'a, ()> + Sync + 'a,
    ) -> Self {
        Self { name: name.to_owned(), callers: Callers::Threads(Box::new(call), Some(Box::new(before))) }
    }

    /// `call` hears which caller it is for, from 0. Where there are more callers than threads, waiting for a thread
    /// counts.
    pub fn in_tasks(
        name: &str,
        runtime: &'a Runtime,
        call: impl Fn(usize) -> BoxFuture<'static, ()> + Send + Sync + 'static,
    ) -> Self {
        Self { name: name.to_owned(), callers: Callers::Tasks(runtime, Arc::new(call)) }
    }

    fn round(&self, effort: Effort, callers: usize) -> Round {
        let (nanos, spent) = match &self.callers {
            Callers::Threads(call, before) => on_threads(effort, callers, &**call, before.as_deref()),
            Callers::Tasks(runtime, call) => in_tasks(effort, callers, runtime, call),
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

/// What came of a way: medians of its rounds.
#[derive(Debug, Clone, Copy)]
pub struct Figures {
    pub p50: f64,
    pub p99: f64,
    pub per_second: f64,
    /// Of the first way, in rounds that ran side by side.
    pub times_p50: f64,
    pub times_p99: f64,
    pub times_rate: f64,
}

/// Lets `ways` take turns.
pub fn rounds(effort: Effort, callers: usize, ways: &[Way<'_>]) -> Vec<Figures> {
    let mut rounds: Vec<Vec<Round>> = ways.iter().map(|_| Vec::with_capacity(effort.rounds)).collect();
    for _ in 0..effort.rounds {
        for (way, rounds) in ways.iter().zip(&mut rounds) {
            rounds.push(way.round(effort, callers));
        }
    }
    let figures = |own: &Vec<Round>| {
        // Of rounds that ran side by side: a slow second of the machine is in both.
        let against =
            |of: fn(&Round) -> f64| median(own.iter().zip(&rounds[0]).map(|(own, base)| of(own) / of(base)));
        Figures {
            p50: median(own.iter().map(|round| round.p50)),
            p99: median(own.iter().map(|round| round.p99)),
            per_second: median(own.iter().map(|round| round.per_second)),
            times_p50: against(|round| round.p50),
            times_p99: against(|round| round.p99),
            times_rate: against(|round| round.per_second),
        }
    };
    rounds.iter().map(figures).collect()
}

fn on_threads<'a>(
    effort: Effort,
    callers: usize,
    call: &(dyn Fn() -> LocalBoxFuture<'a, ()> + Sync + 'a),
    before: Option<&(dyn Fn() -> LocalBoxFuture<'a, ()> + Sync + 'a)>,
) -> (Vec<Vec<u64>>, Duration) {
    let start = Barrier::new(callers);
    std::thread::scope(|scope| {
        let worker = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                repeat(effort.warm_up, call, before).await;
                start.wait();
                let begin = Instant::now();
                let nanos = repeat(effort.round, call, before).await;
                // What is done before each call takes no time.
                let spent = before.map(|_| Duration::from_nanos(nanos.iter().sum()));
                (nanos, spent.unwrap_or_else(|| begin.elapsed()))
            })
        };
        let workers: Vec<_> = (0..callers).map(|_| scope.spawn(worker)).collect();
        let (nanos, spent): (_, Vec<_>) = workers.into_iter().map(|worker| worker.join().unwrap()).unzip();
        (nanos, spent.into_iter().max().unwrap_or_default())
    })
}

/// The times of calls one after another, in nanoseconds; at least one.
async fn repeat<'a>(
    span: Duration,
    call: &(dyn Fn() -> LocalBoxFuture<'a, ()> + Sync + 'a),
    before: Option<&(dyn Fn() -> LocalBoxFuture<'a, ()> + Sync + 'a)>,
) -> Vec<u64> {
    let mut nanos = Vec::new();
    let first = Instant::now();
    let mut now = first;
    while nanos.is_empty() || now - first < span {
        if let Some(before) = before {
            before().await;
            now = Instant::now();
        }
        call().await;
        now = lap(&mut nanos, now);
    }
    nanos
}

fn in_tasks(
    effort: Effort,
    callers: usize,
    runtime: &Runtime,
    call: &Arc<dyn Fn(usize) -> BoxFuture<'static, ()> + Send + Sync>,
) -> (Vec<Vec<u64>>, Duration) {
    // A call that never waits would else keep its thread until its round is over.
    let takes_turns = callers > runtime.metrics().num_workers();
    runtime.block_on(async {
        let barrier = Arc::new(tokio::sync::Barrier::new(callers));
        let begin = Arc::new(OnceLock::new());
        let workers: Vec<_> = (0..callers)
            .map(|caller| {
                let (call, barrier, begin) = (call.clone(), barrier.clone(), begin.clone());
                let repeat = move |first: Instant, span: Duration| {
                    let call = call.clone();
                    async move {
                        let mut nanos = Vec::new();
                        let mut now = Instant::now();
                        while nanos.is_empty() || now - first < span {
                            if takes_turns {
                                tokio::task::yield_now().await;
                            }
                            call(caller).await;
                            now = lap(&mut nanos, now);
                        }
                        nanos
                    }
                };
                tokio::spawn(async move {
                    repeat(Instant::now(), effort.warm_up).await;
                    barrier.wait().await;
                    let begin: Instant = *begin.get_or_init(Instant::now);
                    (repeat(begin, effort.round).await, begin.elapsed())
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

/// Adds the time since `before`, and tells what time it is.
fn lap(nanos: &mut Vec<u64>, before: Instant) -> Instant {
    let now = Instant::now();
    nanos.push(u64::try_from((now - before).as_nanos()).unwrap_or(u64::MAX));
    now
}

/// Nanoseconds of what takes less than the clock can tell, or more: the median of `effort.rounds`, each of so many runs that
/// it takes a while.
pub fn nanos_each(effort: Effort, mut work: impl FnMut()) -> f64 {
    let mut round = |times: u32| {
        let begin = Instant::now();
        for _ in 0..times {
            work();
        }
        begin.elapsed()
    };
    let span = effort.round / 10;
    let mut times = 1;
    while round(times) < span {
        times *= 2;
    }
    median((0..effort.rounds).map(|_| round(times).as_nanos() as f64 / f64::from(times)))
}

pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
