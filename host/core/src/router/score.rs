//! Which of several endpoints runs a call. A pure decision. Source: MeetYou V4, candidate scoring.

use berth_model::endpoint::{Capability, Endpoint};
use berth_model::{EndpointId, WorkspaceId};
use serde_json::{Map, Value, json};

/// Rejected candidates that a decision names.
const NAMED: usize = 8;

/// An endpoint that offers the tool.
#[derive(Debug, Clone)]
pub struct Candidate {
    pub endpoint: Endpoint,
    pub capability: Capability,
    pub online: bool,
    pub workspaces: Vec<WorkspaceId>,
}

/// What the workspace and the caller like.
#[derive(Debug, Clone, Default)]
pub struct Preference {
    pub endpoints: Vec<EndpointId>,
    pub providers: Vec<String>,
    /// What is not preferred is out.
    pub strict: bool,
    /// Another provider type is out.
    pub only_provider: Option<String>,
}

/// A candidate that is out, and why.
#[derive(Debug, Clone)]
pub struct Rejected {
    pub endpoint: EndpointId,
    pub reasons: Vec<&'static str>,
    pub terms: Terms,
}

/// What a score is made of, by the names that a decision gives the parts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Terms(Vec<(&'static str, f64)>);

impl Terms {
    pub fn sum(&self) -> f64 {
        self.0.iter().map(|(_, points)| points).sum()
    }

    fn told(&self) -> Map<String, Value> {
        self.0.iter().map(|(name, points)| ((*name).to_owned(), json!(rounded(*points)))).collect()
    }
}

/// The outcome.
#[derive(Debug)]
pub struct Ranking {
    pub best: Option<Candidate>,
    /// The score of the best one in its parts.
    pub terms: Terms,
    pub candidates: usize,
    pub rejected: Vec<Rejected>,
}

impl Ranking {
    /// The form that an operation keeps.
    pub fn decision(&self, tool: &str) -> Value {
        let rejected: Vec<_> = self
            .rejected
            .iter()
            .take(NAMED)
            .map(|rejected| {
                json!({
                    "endpoint_id": rejected.endpoint.as_str(),
                    "reasons": rejected.reasons,
                    "breakdown": rejected.terms.told(),
                })
            })
            .collect();
        json!({
            "mode": "scored",
            "tool_key": tool,
            "selected_endpoint_id": self.best.as_ref().map(|best| best.endpoint.id.as_str()),
            "score": rounded(self.terms.sum()),
            "breakdown": self.terms.told(),
            "candidate_count": self.candidates,
            "rejected_candidates": rejected,
        })
    }
}

/// The decision about a call whose endpoint was named, in the same form.
pub fn named(tool: &str, endpoint: &EndpointId) -> Value {
    json!({
        "mode": "explicit",
        "tool_key": tool,
        "selected_endpoint_id": endpoint.as_str(),
        "score": 0.0,
        "breakdown": {},
        "candidate_count": 1,
        "rejected_candidates": [],
    })
}

fn rounded(points: f64) -> f64 {
    (points * 1000.0).round() / 1000.0
}

/// Scores candidates; the best wins, ties by lower priority number and then by id.
pub fn rank(candidates: Vec<Candidate>, place: &WorkspaceId, like: &Preference, consented: bool) -> Ranking {
    let total = candidates.len();
    let mut rejected = Vec::new();
    let mut best: Option<(Terms, Candidate)> = None;
    for candidate in candidates {
        let reasons = objections(&candidate, place, like, consented);
        let terms = terms(&candidate, place, like);
        if !reasons.is_empty() {
            rejected.push(Rejected { endpoint: candidate.endpoint.id.clone(), reasons, terms });
            continue;
        }
        let score = terms.sum();
        let wins = best.as_ref().is_none_or(|(top, held)| {
            let top = top.sum();
            score > top
                || (score == top
                    && (candidate.endpoint.priority, &candidate.endpoint.id)
                        < (held.endpoint.priority, &held.endpoint.id))
        });
        if wins {
            best = Some((terms, candidate));
        }
    }
    let (terms, best) =
        best.map_or_else(|| (Terms::default(), None), |(terms, candidate)| (terms, Some(candidate)));
    Ranking { best, terms, candidates: total, rejected }
}

fn objections(
    candidate: &Candidate,
    place: &WorkspaceId,
    like: &Preference,
    consented: bool,
) -> Vec<&'static str> {
    let mut reasons = Vec::new();
    if !candidate.online {
        reasons.push("endpoint_disconnected");
    }
    if !candidate.workspaces.is_empty() && !candidate.workspaces.contains(place) {
        reasons.push("workspace_mismatch");
    }
    if candidate.capability.requires_confirmation && !consented {
        reasons.push("confirmation_required");
    }
    if like.only_provider.as_ref().is_some_and(|provider| *provider != candidate.endpoint.provider_type) {
        reasons.push("provider_mismatch");
    }
    if like.strict && !is_preferred(candidate, like) {
        let providers_only = like.endpoints.is_empty() && !like.providers.is_empty();
        reasons.push(if providers_only {
            "strict_preferred_provider_mismatch"
        } else {
            "strict_preferred_endpoint_mismatch"
        });
    }
    reasons
}

fn is_preferred(candidate: &Candidate, like: &Preference) -> bool {
    like.endpoints.contains(&candidate.endpoint.id)
        || (like.endpoints.is_empty() && like.providers.contains(&candidate.endpoint.provider_type))
}

fn terms(candidate: &Candidate, place: &WorkspaceId, like: &Preference) -> Terms {
    let endpoint = &candidate.endpoint;
    let workspace = if candidate.workspaces.is_empty() {
        8.0
    } else if candidate.workspaces.contains(place) {
        28.0
    } else {
        0.0
    };
    let preferred_endpoint = if like.endpoints.contains(&endpoint.id) { 45.0 } else { 0.0 };
    let preferred_provider = if like.providers.contains(&endpoint.provider_type) { 24.0 } else { 0.0 };
    Terms(vec![
        ("online", if candidate.online { 100.0 } else { 0.0 }),
        ("workspace", workspace),
        ("preference", preferred_endpoint + preferred_provider),
        ("risk", risk(&candidate.capability.risk_word)),
        ("priority", ((100.0 - endpoint.priority as f64) / 100.0 * 16.0).clamp(-16.0, 16.0)),
        ("load", load(endpoint)),
        ("success", success(endpoint)),
        ("latency", latency(endpoint)),
        ("trust", trust(endpoint, candidate.capability.tool_key.as_str())),
        ("cost", cost(endpoint)),
    ])
}

fn risk(word: &str) -> f64 {
    match word {
        "read" | "low" => 14.0,
        "network" => 9.1,
        "write" => 6.3,
        "system" => 2.8,
        "high" => 0.0,
        _ => 4.9,
    }
}

fn load(endpoint: &Endpoint) -> f64 {
    let Some(metrics) = endpoint.metadata.get("heartbeat_metrics").filter(|metrics| metrics.is_object())
    else {
        return 0.0;
    };
    let number = |key: &str| metrics[key].as_f64().filter(|number| number.is_finite());
    let (calls, cpu, memory) = (number("active_calls"), number("cpu_percent"), number("memory_percent"));
    if calls.is_none() && cpu.is_none() && memory.is_none() {
        return 0.0;
    }
    let over = |value: Option<f64>, mark: f64| (value.unwrap_or(0.0) - mark).max(0.0) / 5.0;
    (20.0 - (5.0 * calls.unwrap_or(0.0) + over(cpu, 60.0) + over(memory, 70.0))).max(-20.0)
}

fn success(endpoint: &Endpoint) -> f64 {
    let Some(stats) = endpoint.metadata.get("routing_stats") else { return 0.0 };
    let count = |key: &str| stats[key].as_f64().unwrap_or(0.0).max(0.0);
    let (good, bad) = (count("success_count"), count("failure_count"));
    if good + bad > 0.0 { (good / (good + bad) - 0.5) * 36.0 } else { 0.0 }
}

fn latency(endpoint: &Endpoint) -> f64 {
    let average =
        endpoint.metadata.get("routing_stats").and_then(|stats| stats["average_latency_ms"].as_f64());
    average.map_or(0.0, |ms| (12.0 * (1.0 - ms.clamp(0.0, 30_000.0) / 15_000.0)).max(-12.0))
}

fn trust(endpoint: &Endpoint, key: &str) -> f64 {
    let starts = |heads: &[&str]| heads.iter().any(|head| key.starts_with(head));
    let local = starts(&["file.", "shell.", "workspace.", "utility."]);
    let outward = starts(&["message.", "notice.", "email.", "delivery."]);
    let external =
        matches!(endpoint.provider_type.as_str(), "external" | "webhook" | "feishu" | "wechatbot" | "email");
    match endpoint.provider_type.as_str() {
        "desktop" | "edge" if local => 12.0,
        _ if external && outward => 12.0,
        _ if external && local => -12.0,
        _ => 0.0,
    }
}

fn cost(endpoint: &Endpoint) -> f64 {
    let level = endpoint.metadata.get("cost_level").or_else(|| endpoint.metadata.get("cost"));
    match level.and_then(Value::as_str) {
        Some("free" | "low" | "local") => 8.0,
        Some("high" | "expensive") => -8.0,
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use berth_model::{JsonMap, Timestamp, ToolKey};

    use super::*;

    fn candidate(id: &'static str, provider: &str) -> Candidate {
        let id = EndpointId::fixed(id);
        Candidate {
            endpoint: Endpoint {
                id: id.clone(),
                kind: String::new(),
                provider_type: provider.to_owned(),
                transport: "websocket".to_owned(),
                display_name: String::new(),
                status: "online".to_owned(),
                labels: Vec::new(),
                priority: 100,
                metadata: JsonMap::new(),
                created_at: Timestamp::from_micros(0),
                updated_at: Timestamp::from_micros(0),
            },
            capability: Capability {
                endpoint: id,
                tool_key: ToolKey::fixed("file.read"),
                capability_id: String::new(),
                title: String::new(),
                description: String::new(),
                input_schema: json!({}),
                output_schema: json!({}),
                risk_word: "read".to_owned(),
                requires_confirmation: false,
                enabled: true,
                constraints: JsonMap::new(),
                metadata: JsonMap::new(),
            },
            online: true,
            workspaces: vec![WorkspaceId::fixed("w")],
        }
    }

    fn winner(candidates: Vec<Candidate>, like: &Preference) -> Option<String> {
        rank(candidates, &WorkspaceId::fixed("w"), like, false).best.map(|best| best.endpoint.id.to_string())
    }

    #[test]
    fn offline_foreign_and_unconfirmed_candidates_are_out_with_their_reason() {
        let offline = Candidate { online: false, ..candidate("a", "edge") };
        let foreign = Candidate { workspaces: vec![WorkspaceId::fixed("other")], ..candidate("b", "edge") };
        let mut careful = candidate("c", "edge");
        careful.capability.requires_confirmation = true;

        let ranking =
            rank(vec![offline, foreign, careful], &WorkspaceId::fixed("w"), &Preference::default(), false);

        assert!(ranking.best.is_none());
        let reasons: Vec<_> = ranking.rejected.iter().map(|rejected| rejected.reasons.clone()).collect();
        assert_eq!(reasons, [["endpoint_disconnected"], ["workspace_mismatch"], ["confirmation_required"]]);
        assert_eq!(ranking.rejected[0].terms.told()["online"], json!(0.0));
        assert_eq!(ranking.rejected[1].terms.told()["workspace"], json!(0.0));
    }

    #[test]
    fn a_decision_tells_what_the_score_is_made_of() {
        let mut chosen = candidate("a", "edge");
        chosen.endpoint.metadata.insert(
            "routing_stats".to_owned(),
            json!({ "success_count": 3, "failure_count": 1, "average_latency_ms": 7_500 }),
        );
        chosen
            .endpoint
            .metadata
            .insert("heartbeat_metrics".to_owned(), json!({ "active_calls": 1, "cpu_percent": 70 }));
        chosen.endpoint.metadata.insert("cost_level".to_owned(), json!("free"));
        let like = Preference { endpoints: vec![EndpointId::fixed("a")], ..Preference::default() };

        let decision = rank(vec![chosen], &WorkspaceId::fixed("w"), &like, false).decision("file.read");

        assert_eq!(
            decision["breakdown"],
            json!({
                "online": 100.0, "workspace": 28.0, "preference": 45.0, "risk": 14.0, "priority": 0.0,
                "load": 13.0, "success": 9.0, "latency": 6.0, "trust": 12.0, "cost": 8.0,
            })
        );
        assert_eq!(decision["score"], json!(235.0));
    }

    #[test]
    fn preference_load_history_and_priority_decide_in_this_weight() {
        let mut busy = candidate("busy", "edge");
        busy.endpoint.metadata.insert("heartbeat_metrics".to_owned(), json!({ "active_calls": 4 }));
        let mut idle = candidate("idle", "edge");
        idle.endpoint.metadata.insert("heartbeat_metrics".to_owned(), json!({ "active_calls": 0 }));
        let mut failing = candidate("failing", "edge");
        failing.endpoint.metadata.insert("routing_stats".to_owned(), json!({ "failure_count": 9 }));
        let mut early = candidate("zz-early", "edge");
        early.endpoint.priority = 10;

        let none = Preference::default();
        let like = Preference { endpoints: vec![EndpointId::fixed("busy")], ..Preference::default() };
        assert_eq!(winner(vec![busy.clone(), idle.clone()], &none).as_deref(), Some("idle"));
        assert_eq!(winner(vec![busy, idle], &like).as_deref(), Some("busy"));
        assert_eq!(winner(vec![failing, candidate("ok", "edge")], &none).as_deref(), Some("ok"));
        assert_eq!(winner(vec![candidate("a", "edge"), early], &none).as_deref(), Some("zz-early"));
        assert_eq!(winner(vec![candidate("b", "edge"), candidate("a", "edge")], &none).as_deref(), Some("a"));
        assert_eq!(
            winner(vec![candidate("b", "edge"), candidate("a", "email")], &none).as_deref(),
            Some("b")
        );
    }

    #[test]
    fn strict_preference_and_a_named_provider_exclude_the_rest() {
        let all = || vec![candidate("a", "edge"), candidate("b", "desktop")];
        let strict =
            Preference { providers: vec!["desktop".to_owned()], strict: true, ..Preference::default() };
        let named = Preference { only_provider: Some("edge".to_owned()), ..Preference::default() };

        assert_eq!(winner(all(), &strict).as_deref(), Some("b"));
        assert_eq!(winner(all(), &named).as_deref(), Some("a"));
        let other = Preference { only_provider: Some("rpi".to_owned()), ..Preference::default() };
        assert_eq!(winner(all(), &other), None);
    }
}
