//! The query.

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::nul;
use crate::error::ApiError;
use crate::state::HttpState;

/// The query of a request; a wrong one is 422 and names the parameter.
pub(crate) struct Params<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<HttpState> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &HttpState) -> Result<Self, ApiError> {
        let Query(params) = Query::try_from_uri(&parts.uri).map_err(|rejection| {
            let text = rejection.body_text();
            let text = text.rsplit("query string: ").next().unwrap_or_default();
            let (field, reason) = text.split_once(": ").unwrap_or(("", text));
            ApiError::invalid(field, reason)
        })?;
        match parts.uri.query().filter(|query| query.contains("%00")) {
            Some(query) => Err(nul::refused(nul::parameter(query))),
            None => Ok(Self(params)),
        }
    }
}
