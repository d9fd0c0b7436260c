//! Ids, in paths and elsewhere.

use std::str::FromStr;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use berth_model::{
    ApprovalId, DeliveryId, EndpointId, GrantId, IdError, OperationId, PluginId, RunId, SessionId, ThreadId,
    WorkspaceId,
};

use super::nul;
use crate::error::ApiError;
use crate::state::HttpState;

/// An id that a path or a body may name.
pub(crate) trait Named: FromStr<Err = IdError> {
    /// What it names, in messages.
    const KIND: &'static str;
    /// The code of an id that names nothing.
    const NOT_FOUND: &'static str;
}

macro_rules! named {
    ($($id:ident = $kind:literal, $code:literal;)+) => {
        $(impl Named for $id {
            const KIND: &'static str = $kind;
            const NOT_FOUND: &'static str = $code;
        })+
    };
}

named!(
    ThreadId = "thread", "thread_not_found";
    SessionId = "session", "session_not_found";
    RunId = "run", "run_not_found";
    OperationId = "operation", "operation_not_found";
    ApprovalId = "approval", "approval_not_found";
    WorkspaceId = "workspace", "workspace_not_found";
    PluginId = "plugin", "PLUGIN_NOT_FOUND";
    GrantId = "grant", "GRANT_NOT_FOUND";
    DeliveryId = "delivery", "delivery_not_found";
);

/// The refusal of an id that names nothing of its kind.
fn unknown<T: Named>(text: &str) -> ApiError {
    ApiError::not_found(T::NOT_FOUND, T::KIND, text)
}

/// Reads an id; what is no id names nothing, so it is not found.
pub(crate) fn id<T: Named>(text: &str) -> Result<T, ApiError> {
    text.trim().parse().map_err(|_| unknown::<T>(text))
}

/// Reads an id that need not be there; an empty text is none.
pub(crate) fn optional_id<T: Named>(text: Option<&str>) -> Result<Option<T>, ApiError> {
    text.map(str::trim).filter(|text| !text.is_empty()).map(id).transpose()
}

/// An endpoint's id in a body, which need not be known yet.
pub(crate) fn endpoint_id(text: &str) -> Result<EndpointId, ApiError> {
    EndpointId::new(text).map_err(|error| ApiError::invalid("endpoint_id", error.to_string()))
}

/// The id in the path; the routes have one each.
pub(crate) struct Id<T>(pub T);

impl<T: Named> FromRequestParts<HttpState> for Id<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &HttpState) -> Result<Self, ApiError> {
        let text = segment(parts, state).await?;
        id(&text.ok_or_else(|| unknown::<T>(""))?).map(Self)
    }
}

/// The same as it was sent, for a route that answers whatever it is; what is no text is empty.
pub(crate) struct Segment(pub String);

impl FromRequestParts<HttpState> for Segment {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &HttpState) -> Result<Self, ApiError> {
        Ok(Self(segment(parts, state).await?.unwrap_or_default().trim().to_owned()))
    }
}

/// The one parameter of the path; `None` when it is no text.
async fn segment(parts: &mut Parts, state: &HttpState) -> Result<Option<String>, ApiError> {
    let Ok(params) = RawPathParams::from_request_parts(parts, state).await else { return Ok(None) };
    let (name, text) = params.iter().next().ok_or_else(ApiError::internal)?;
    if text.contains('\0') { Err(nul::refused(name)) } else { Ok(Some(text.to_owned())) }
}
