//! A call of an endpoint over TCP on loopback, to its answer.

use std::time::Duration;

use berth_core::operations::Ask;
use berth_core::port::endpoint_link::{EndpointCall, EndpointLink};
use berth_core::port::ids::Ids;
use berth_core::port::target::Progress;
use berth_model::tool::Risk;
use berth_model::{ActorId, CallId, EndpointId, OperationId, ToolKey};
use berth_provider::{CallContext, Capability, Identity, Limits, Provider, Status, Token};
use futures::FutureExt;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::measure::Way;
use super::report::Report;
use super::world::{self, Disk, Random, TOKEN, World};
use super::{CALLERS, guests};

const ENDPOINT: &str = "edge.bench.executor";

/// Nobody listens to the progress.
struct Silent;

#[async_trait::async_trait]
impl Progress for Silent {
    fn report(&self, _: Option<f32>, _: &str) {}

    async fn partial(&self, _: Vec<u8>) {}
}

/// The socket alone, then the whole ToolRouter before it.
pub fn round_trips(report: &mut Report) {
    let bare = guests::bare_greeter("bench-typed");
    let world = World::start(Disk::Real);
    let stop = CancellationToken::new();
    world.runtime.block_on(connect(&world, stop.clone()));
    for callers in CALLERS {
        let ways = [
            Way::on_threads("typed call: wasmtime alone", || guests::greet(&bare).boxed_local()),
            frames(&world),
            operations(&world),
        ];
        report.compare(callers, &ways);
    }
    stop.cancel();
    world.stop();
}

/// A provider of ours that says back what it is told.
async fn connect(world: &World, stop: CancellationToken) {
    let echo = |call: CallContext| async move { Ok(Value::Object(call.arguments)) };
    let provider = Provider::builder(&world.address, Token::new(TOKEN), Identity::executor("edge", "bench"))
        .capability(Capability::new("bench.echo", "Echo", "Says back").parallel(), echo)
        .limits(Limits { max_running: 64, ..Limits::default() })
        .build()
        .unwrap();
    let mut status = provider.status();
    tokio::spawn(provider.run(stop));
    status.wait_for(|status| *status == Status::Ready).await.unwrap();
    // The provider is ready when it has told its tools; the host when it has stored them.
    while world.core.operate(echo_ask()).await.is_err() {
        tokio::task::yield_now().await;
    }
}

fn echo_ask() -> Ask {
    let ask = Ask::of_owner("bench.echo", json!({ "name": "berth" }), world::personal());
    // The workspace chooses no endpoint by itself.
    Ask { target: Some(ENDPOINT.to_owned()), ..ask }
}

fn frames(world: &World) -> Way<'_> {
    let links = world.links.clone();
    Way::in_tasks("endpoint on loopback: frames alone", &world.runtime, move |_| {
        let links = links.clone();
        async move {
            let answer = links
                .call(EndpointCall {
                    endpoint: EndpointId::fixed(ENDPOINT),
                    operation: OperationId::from_uuid(Random.uuid()),
                    call: CallId::from_uuid(Random.uuid()),
                    run: None,
                    workspace: world::personal(),
                    actor: ActorId::fixed("user:self"),
                    tool_key: ToolKey::fixed("bench.echo"),
                    capability_id: format!("endpoint.{ENDPOINT}.bench.echo"),
                    arguments: json!({ "name": "berth" }),
                    risk: Risk::Read,
                    timeout: Duration::from_secs(30),
                    cancel: CancellationToken::new(),
                    progress: std::sync::Arc::new(Silent),
                })
                .await
                .unwrap();
            assert_eq!(answer["name"], "berth");
        }
        .boxed()
    })
}

fn operations(world: &World) -> Way<'_> {
    let core = world.core.clone();
    Way::in_tasks("endpoint on loopback: ToolRouter, SQLite on disk", &world.runtime, move |_| {
        let core = core.clone();
        async move {
            let finished = core.operate(echo_ask()).await.unwrap();
            assert_eq!(finished.outcome.unwrap().content["name"], "berth");
        }
        .boxed()
    })
}
