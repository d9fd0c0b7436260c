//! Every code that clients of the facade can see is explained in docs/errors/, with the status it is answered with.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use axum::http::StatusCode;
use berth_http::error::ApiError;
use berth_model::tool::{Blame, ToolFailure};
use berth_testkit::codes::{behind, explained, literal, sources};

/// `NOT_FOUND` is 404.
fn number(constant: &str) -> u16 {
    let named = |status: &StatusCode| {
        status
            .canonical_reason()
            .is_some_and(|reason| reason.to_uppercase().replace([' ', '-'], "_") == constant)
    };
    (100..600).filter_map(|code| StatusCode::from_u16(code).ok()).find(named).unwrap().as_u16()
}

/// Codes that the facade itself makes, with their status; 0 for those that are no answer.
fn made_here() -> BTreeMap<String, u16> {
    let source = sources("host/http/src");
    let mut made = BTreeMap::new();
    for rest in source.split("new(StatusCode::").skip(1) {
        let (status, rest) = rest.split_once(',').unwrap();
        if let Some(code) = literal(rest) {
            made.insert(code.to_owned(), number(status));
        }
    }
    for (opening, status) in [("bad_request(", 400), ("not_found(", 404), ("closed(", 0)] {
        made.extend(behind(&source, opening).into_iter().map(|code| (code.to_owned(), status)));
    }
    let (_, named) = source.split_once("\nnamed!(").unwrap();
    for line in named.split(");").next().unwrap().lines().filter(|line| line.contains('=')) {
        made.insert(line.split('"').nth(3).unwrap().to_owned(), 404);
    }
    // Failures of the framework that a route can still have.
    made.extend([("http_404".to_owned(), 404), ("http_405".to_owned(), 405)]);
    made
}

#[test]
fn every_code_of_the_facade_is_explained_with_its_status_and_every_explanation_has_its_code() {
    let (made, rows) = (made_here(), explained());

    for (code, status) in &made {
        let row = rows.get(code).unwrap_or_else(|| panic!("docs/errors/http.tsv lacks {code}"));
        // Streams end with codes that requests have a status for.
        if *status > 0 {
            assert_eq!(row.status, status.to_string(), "{code} in docs/errors/{}.tsv", row.table);
        }
    }
    let dead: Vec<_> = rows
        .iter()
        .filter(|(code, row)| row.table == "http" && !made.contains_key(*code))
        .map(|(code, _)| code)
        .collect();
    assert!(dead.is_empty(), "nothing answers with {dead:?} any more");
    assert!(made.len() > 25, "the search finds too little: {made:?}");
}

#[test]
fn a_failed_use_case_is_answered_with_the_status_that_is_documented() {
    let (source, rows) = (sources("host/core/src"), explained());
    let mut seen = BTreeSet::new();
    for (variant, status) in [("Invalid", "400"), ("Conflict", "409"), ("Forbidden", "403"), ("Busy", "503")]
    {
        for rest in source.split(&format!("CoreError::{variant} {{")).skip(1) {
            let fields = rest.split('}').next().unwrap();
            let Some(code) = fields.split_once("code:").and_then(|(_, rest)| literal(rest)) else { continue };
            let wanted = if code == "invalid_request" { "422" } else { status };
            let row = rows.get(code).unwrap_or_else(|| panic!("docs/errors lacks {code}"));
            // What never leaves over HTTP has no status.
            let status = if row.status == "-" { wanted } else { &row.status };
            assert_eq!(status, wanted, "{code} in docs/errors/{}.tsv", row.table);
            seen.insert(code);
        }
    }
    for kind in behind(&source, "NotFound { kind:") {
        let code = format!("{kind}_not_found");
        assert_eq!(rows.get(&code).map(|row| row.status.as_str()), Some("404"), "{code}");
    }
    assert!(seen.len() > 8, "the search finds too little: {seen:?}");
}

#[test]
fn a_failed_call_is_answered_with_the_status_that_is_documented() {
    let (mut source, rows) = (sources("host/core/src"), explained());
    source.push_str(&sources("host/hub/src"));
    let codes: BTreeSet<_> = ["ToolFailure::new(", "failure(", "unavailable("]
        .iter()
        .flat_map(|opening| behind(&source, opening))
        .collect();
    for code in &codes {
        let Some(row) = rows.get(*code).filter(|row| row.status != "-") else { continue };
        let mut failure = ToolFailure::new(*code, "no", Blame::Caller);
        failure.retryable = row.retryable;
        let answered = ApiError::from(failure).status.as_u16().to_string();
        assert_eq!(answered, row.status, "{code} in docs/errors/{}.tsv", row.table);
    }
    assert!(codes.len() > 15, "the search finds too little: {codes:?}");
}
