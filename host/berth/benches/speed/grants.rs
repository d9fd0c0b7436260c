//! What a host call asks before it does anything: whether the grants have changed, and whether they allow this use.

use std::hint::black_box;
use std::sync::Arc;

use berth_broker::Target;
use berth_model::plugin::GrantMode;
use berth_wasm::capability::grants::{Decision, Fixed, GrantSource, GrantView, Granted, Request};
use berth_wasm::capability::{Capability, http};
use futures::FutureExt;
use serde_json::{Value, json};

use super::guests;
use super::measure::{Way, nanos_each, rounds};
use super::report::Report;

/// Grants of the plugin; the last one is the one that fits.
const GRANTS: [usize; 3] = [1, 10, 100];

/// Nothing changed; and a decision on an HTTP request, the widest of all scopes.
pub fn checks(report: &mut Report) {
    let effort = report.effort;
    report.head(&["check", "grants", "ns", "× a bare fresh call"]);
    let bare = guests::bare_greeter("bench-typed");
    let call = Way::on_threads("", || guests::greet(&bare).boxed_local());
    let fresh = rounds(effort, 1, &[call])[0].p50 * 1000.0;
    let mut row = |check: &str, grants: usize, nanos: f64| {
        report.row(&[
            check.to_owned(),
            grants.to_string(),
            format!("{nanos:.0}"),
            format!("{:.3}", nanos / fresh),
        ]);
    };
    for grants in GRANTS {
        let view = Arc::new(view(grants));
        let source: Arc<dyn GrantSource> = Arc::new(Fixed(view.clone()));
        let same = || assert!(black_box(&source).generation() == black_box(&view).generation());
        row("nothing has changed", grants, nanos_each(effort, same));
        let target = Target::parse("https://api.example.com/v1/messages?limit=5").unwrap();
        let wanted = http::wanted("GET", &target);
        let decide = || {
            let decision = black_box(&view)
                .decision(Capability::Http, black_box(&wanted), |scope| http::covers(scope, "GET", &target));
            assert!(matches!(decision, Decision::Allowed(_)));
        };
        row("a decision on an HTTP request", grants, nanos_each(effort, decide));
        let refused = || {
            let decision = black_box(&view).decision(Capability::Http, black_box(&wanted), |_| false);
            assert!(matches!(decision, Decision::Denied(_)));
        };
        row("a refusal", grants, nanos_each(effort, refused));
    }
}

fn view(grants: usize) -> GrantView {
    let scope = |host: String| json!({ "hosts": [host], "paths": ["/v1/"], "methods": ["GET", "POST"] });
    let others = (1..grants).map(|number| scope(format!("https://host{number}.example.com")));
    let scopes: Vec<_> = others.chain([scope("https://api.example.com".to_owned())]).collect();
    let wishes = scopes.iter().map(|scope| Request::new(Capability::Http, scope.clone())).collect();
    let granted =
        |scope: Value| Granted { capability: Capability::Http, scope: scope.into(), mode: GrantMode::Allow };
    GrantView::new(1, "bench", wishes, scopes.into_iter().map(granted).collect())
}
