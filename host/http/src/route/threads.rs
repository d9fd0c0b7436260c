//! Threads.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use berth_core::port::store::ThreadFilter;
use berth_core::threads::{Deleted, NewThread};
use berth_model::thread::Thread;
use berth_model::{ThreadId, Timestamp, WorkspaceId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::limit;
use crate::error::{Answer, ApiError};
use crate::extract::{Body, Id, Params, Segment, filled, id, optional_id, short};
use crate::state::HttpState;

/// The workspace of a thread that names none.
const PERSONAL: &str = "personal";
/// The header that a longer list carries.
const NEXT: &str = "next-cursor";

pub(crate) fn routes() -> OpenApiRouter<HttpState> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(default)).routes(routes!(show, delete))
}

/// A conversation that Core owns.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ThreadView {
    thread_id: String,
    home_workspace_id: String,
    /// The same.
    workspace_id: String,
    project_id: String,
    title: String,
    status: String,
    summary: String,
    mode: String,
    created_at: String,
    updated_at: String,
}

impl From<Thread> for ThreadView {
    fn from(thread: Thread) -> Self {
        Self {
            thread_id: thread.id.to_string(),
            home_workspace_id: thread.workspace.to_string(),
            workspace_id: thread.workspace.to_string(),
            project_id: String::new(),
            title: thread.title,
            status: thread.status.to_string(),
            summary: thread.summary,
            mode: thread.mode,
            created_at: thread.created_at.to_string(),
            updated_at: thread.updated_at.to_string(),
        }
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ThreadsQuery {
    workspace_id: Option<String>,
    /// There are no projects in this version: naming one is 404.
    project_id: Option<String>,
    /// 50 by default, 1 to 200.
    limit: Option<i64>,
    /// The `Next-Cursor` header of the page before.
    cursor: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
struct NewThreadBody {
    /// `personal` by default; `workspace_id` is the same.
    home_workspace_id: Option<String>,
    workspace_id: Option<String>,
    /// There are no projects in this version: naming one is 404.
    project_id: Option<String>,
    /// At most 255 characters.
    title: Option<String>,
    /// `general`, `automation`, `research` or `danxi`.
    mode: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
struct DefaultThreadBody {
    workspace_id: Option<String>,
    /// `frontend.default` by default.
    default_key: Option<String>,
    /// `Desktop Chat` by default; only for a thread that is made now.
    title: Option<String>,
    mode: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct DeleteQuery {
    /// Deletes a default thread too.
    force: Option<bool>,
}

/// What became of the wish to delete a thread.
#[derive(Debug, Serialize, ToSchema)]
struct ThreadDelete {
    ok: bool,
    thread_id: String,
    deleted: bool,
    status: String,
    /// `deleted`, `already_deleted`, `default_thread`, `not_found` or `thread_id_required`.
    reason: String,
    default_thread: bool,
}

/// Threads that are not deleted, last used first. A longer list has a `Next-Cursor` header.
#[utoipa::path(
    get, path = "/runtime/threads", tag = "threads", params(ThreadsQuery),
    responses((status = 200, body = [ThreadView])),
)]
async fn list(
    State(state): State<HttpState>,
    Params(query): Params<ThreadsQuery>,
) -> Result<(HeaderMap, Json<Vec<ThreadView>>), ApiError> {
    no_project(query.project_id)?;
    let most = limit(query.limit, 50);
    let before = filled(query.cursor).map(|cursor| read_cursor(&cursor)).transpose()?;
    let filter = ThreadFilter { workspace: optional_id(query.workspace_id.as_deref())?, before, limit: most };
    let threads = state.core().list_threads(filter).await?;
    let mut headers = HeaderMap::new();
    if threads.len() == most as usize
        && let Some(last) = threads.last()
        && let Ok(cursor) = format!("{}.{}", last.updated_at.as_micros(), last.id).parse()
    {
        headers.insert(NEXT, cursor);
    }
    Ok((headers, Json(threads.into_iter().map(ThreadView::from).collect())))
}

fn read_cursor(cursor: &str) -> Result<(Timestamp, ThreadId), ApiError> {
    let parts =
        cursor.split_once('.').and_then(|(micros, id)| Some((micros.parse().ok()?, id.parse().ok()?)));
    let (micros, id) = parts.ok_or_else(|| ApiError::invalid("cursor", "is none that this host gave"))?;
    Ok((Timestamp::from_micros(micros), id))
}

/// Makes a thread.
#[utoipa::path(
    post, path = "/runtime/threads", tag = "threads", request_body = Option<NewThreadBody>,
    responses((status = 200, body = ThreadView)),
)]
async fn create(State(state): State<HttpState>, Body(body): Body<NewThreadBody>) -> Answer<ThreadView> {
    no_project(body.project_id)?;
    let new = NewThread {
        workspace: place(filled(body.home_workspace_id).or(filled(body.workspace_id)))?,
        title: short("title", body.title, 255)?.unwrap_or_default(),
        mode: mode(body.mode.as_deref()),
    };
    Ok(Json(state.core().create_thread(new).await?.into()))
}

/// The thread of a workspace and key, made when there is none.
#[utoipa::path(
    post, path = "/runtime/threads/default", tag = "threads", request_body = Option<DefaultThreadBody>,
    responses((status = 200, body = ThreadView)),
)]
async fn default(State(state): State<HttpState>, Body(body): Body<DefaultThreadBody>) -> Answer<ThreadView> {
    let key = filled(body.default_key).unwrap_or_else(|| "frontend.default".to_owned());
    let new = NewThread {
        workspace: place(filled(body.workspace_id))?,
        title: short("title", body.title, 255)?.unwrap_or_else(|| "Desktop Chat".to_owned()),
        mode: mode(body.mode.as_deref()),
    };
    Ok(Json(state.core().default_thread(new, &key).await?.into()))
}

/// One thread.
#[utoipa::path(
    get, path = "/runtime/threads/{thread_id}", tag = "threads", params(("thread_id" = String, Path)),
    responses((status = 200, body = ThreadView)),
)]
async fn show(State(state): State<HttpState>, Id(thread): Id<ThreadId>) -> Answer<ThreadView> {
    Ok(Json(state.core().thread(thread).await?.into()))
}

/// Marks a thread as deleted. Always 200: the answer says what became of it.
#[utoipa::path(
    delete, path = "/runtime/threads/{thread_id}", tag = "threads",
    params(("thread_id" = String, Path), DeleteQuery), responses((status = 200, body = ThreadDelete)),
)]
async fn delete(
    State(state): State<HttpState>,
    Segment(thread): Segment,
    Params(query): Params<DeleteQuery>,
) -> Answer<ThreadDelete> {
    // What is no id names no thread, and that is an answer here.
    let deleted = match thread.parse::<ThreadId>() {
        Ok(id) => state.core().delete_thread(id, query.force.unwrap_or(false)).await?,
        Err(_) => Deleted::Unknown,
    };
    let (ok, status, reason, default_thread) = match deleted {
        Deleted::Done { default_thread } => (true, "deleted", "deleted", default_thread),
        Deleted::AlreadyDeleted { default_thread } => (true, "deleted", "already_deleted", default_thread),
        Deleted::RefusedDefault => (false, "active", "default_thread", true),
        Deleted::Unknown if thread.is_empty() => (false, "", "thread_id_required", false),
        Deleted::Unknown => (false, "", "not_found", false),
    };
    Ok(Json(ThreadDelete {
        ok,
        thread_id: thread,
        deleted: ok,
        status: status.to_owned(),
        reason: reason.to_owned(),
        default_thread,
    }))
}

fn no_project(project: Option<String>) -> Result<(), ApiError> {
    filled(project)
        .map_or(Ok(()), |project| Err(ApiError::not_found("project_not_found", "project", &project)))
}

fn place(workspace: Option<String>) -> Result<WorkspaceId, ApiError> {
    id(workspace.as_deref().unwrap_or(PERSONAL))
}

/// Source: MeetYou V4, assistant modes.
pub(super) fn mode(word: Option<&str>) -> String {
    match word.unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        word @ ("automation" | "research" | "danxi") => word,
        "office" => "automation",
        _ => "general",
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_and_unknown_modes_become_public_ones() {
        for (word, wanted) in [
            (None, "general"),
            (Some("auto"), "general"),
            (Some("documents"), "general"),
            (Some("office"), "automation"),
            (Some(" Automation "), "automation"),
            (Some("danxi"), "danxi"),
            (Some("x"), "general"),
        ] {
            assert_eq!(mode(word), wanted, "{word:?}");
        }
    }
}
