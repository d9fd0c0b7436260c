//! Runs.

use axum::Json;
use axum::extract::State;
use berth_core::port::store::RunFilter;
use berth_core::runs::MAX_EVENTS;
use berth_model::run::{Run, RunStatus};
use berth_model::{JsonMap, RunId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{limit, text};
use crate::error::Answer;
use crate::event_view::EventView;
use crate::extract::{Id, Params, optional_id, word};
use crate::state::HttpState;

pub(crate) fn routes() -> OpenApiRouter<HttpState> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show))
        .routes(routes!(events))
        .routes(routes!(stop))
}

/// One durable execution.
#[derive(Debug, Serialize, ToSchema)]
struct RunView {
    run_id: String,
    workspace_id: String,
    thread_id: String,
    session_id: String,
    trigger_type: String,
    origin_actor_id: String,
    origin_endpoint_id: String,
    status: String,
    input: RunMessage,
    output: RunMessage,
    /// Why it ended without success; null otherwise.
    error: Option<RunError>,
    /// Whether a tool with effects was called; such a run is never resumed by itself.
    effects_started: bool,
    attempt: u32,
    #[schema(value_type = Object)]
    metadata: JsonMap,
    created_at: String,
    started_at: String,
    finished_at: String,
}

/// A message that a run began or ended with.
#[derive(Debug, Serialize, ToSchema)]
struct RunMessage {
    message_id: String,
}

/// Why a run ended without success.
#[derive(Debug, Serialize, ToSchema)]
struct RunError {
    code: String,
    message: String,
    retryable: bool,
}

impl From<Run> for RunView {
    fn from(run: Run) -> Self {
        Self {
            run_id: run.id.to_string(),
            workspace_id: run.workspace.to_string(),
            thread_id: text(run.thread.as_ref()),
            session_id: text(run.session.as_ref()),
            trigger_type: run.trigger.to_string(),
            origin_actor_id: run.actor.to_string(),
            origin_endpoint_id: text(run.origin_endpoint.as_ref()),
            status: run.status.to_string(),
            input: RunMessage { message_id: text(run.input_message.as_ref()) },
            output: RunMessage { message_id: text(run.output_message.as_ref()) },
            error: run.failure.map(|failure| RunError {
                code: failure.code,
                message: failure.message,
                retryable: failure.retryable,
            }),
            effects_started: run.effects_started,
            attempt: run.attempt,
            metadata: run.metadata,
            created_at: run.created_at.to_string(),
            started_at: text(run.started_at.as_ref()),
            finished_at: text(run.finished_at.as_ref()),
        }
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct RunsQuery {
    thread_id: Option<String>,
    /// Such as `running` or `failed`.
    status: Option<String>,
    /// 50 by default, 1 to 200.
    limit: Option<i64>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct EventsQuery {
    /// 0 by default.
    after_seq: Option<i64>,
    /// 1000 by default and at most.
    limit: Option<i64>,
}

/// What became of the wish to stop a run.
#[derive(Debug, Serialize, ToSchema)]
struct StopView {
    run_id: String,
    /// Whether the run was stopped or has heard of it; false when it had ended.
    accepted: bool,
    /// As it was when the wish came.
    status: String,
}

/// Runs, newest first.
#[utoipa::path(get, path = "/runtime/runs", tag = "runs", params(RunsQuery), responses((status = 200, body = [RunView])))]
async fn list(State(state): State<HttpState>, Params(query): Params<RunsQuery>) -> Answer<Vec<RunView>> {
    let filter = RunFilter {
        thread: optional_id(query.thread_id.as_deref())?,
        status: word("status", query.status, RunStatus::ALL)?,
        limit: limit(query.limit, 50),
    };
    Ok(Json(state.core().list_runs(filter).await?.into_iter().map(RunView::from).collect()))
}

/// One run.
#[utoipa::path(
    get, path = "/runtime/runs/{run_id}", tag = "runs", params(("run_id" = String, Path)),
    responses((status = 200, body = RunView)),
)]
async fn show(State(state): State<HttpState>, Id(run): Id<RunId>) -> Answer<RunView> {
    Ok(Json(state.core().run(run).await?.into()))
}

/// The stored events of a run behind `after_seq`, in order. An empty page is the end.
#[utoipa::path(
    get, path = "/runtime/runs/{run_id}/events", tag = "runs", params(("run_id" = String, Path), EventsQuery),
    responses((status = 200, body = [EventView])),
)]
async fn events(
    State(state): State<HttpState>,
    Id(run): Id<RunId>,
    Params(query): Params<EventsQuery>,
) -> Answer<Vec<EventView>> {
    let most = query
        .limit
        .map_or(MAX_EVENTS, |most| u32::try_from(most.clamp(1, i64::from(MAX_EVENTS))).unwrap_or(MAX_EVENTS));
    let events = state.core().run_events(run, query.after_seq.unwrap_or(0), most).await?;
    Ok(Json(events.iter().map(EventView::from).collect()))
}

/// Asks a run to stop; what it has said so far is kept.
#[utoipa::path(
    post, path = "/runtime/runs/{run_id}/stop", tag = "runs", params(("run_id" = String, Path)),
    responses((status = 200, body = StopView)),
)]
async fn stop(State(state): State<HttpState>, Id(run): Id<RunId>) -> Answer<StopView> {
    let known = state.core().run(run).await?;
    let accepted = !known.status.is_final() && state.core().stop_run(run).await?;
    Ok(Json(StopView { run_id: run.to_string(), accepted, status: known.status.to_string() }))
}
