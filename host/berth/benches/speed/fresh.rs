//! A call of a tool in an instance of its own.

use berth_wasm::wit::v0_1::{Output, Request, WitError};
use futures::FutureExt;

use super::bare::Bare;
use super::measure::Way;
use super::report::{Aim, Report};
use super::{CALLERS, guests, plugins};

/// `run: func(name: string) -> result<string, string>`, in a guest of our SDK.
pub fn typed(report: &mut Report) {
    let bare = guests::bare_greeter("bench-typed");
    let plugin = plugins::greeter("bench-typed", "", plugins::server());
    for callers in CALLERS {
        let ways = [
            Way::on_threads("typed call: wasmtime alone", || guests::greet(&bare).boxed_local()),
            Way::on_threads("typed call: berth's engine", || plugins::greet(&plugin).boxed_local()),
        ];
        let figures = report.compare(callers, &ways);
        if callers == 1 {
            report.aim("fresh call of a guest of our SDK, p50", figures[1].times_p50, "×", Aim::AtMost(1.2));
            report.aim("fresh call of a guest of our SDK, p99", figures[1].times_p99, "×", Aim::AtMost(2.0));
        }
    }
}

/// The same in a guest that knows nothing of our SDK: the compiler's own stack size and allocator.
pub fn foreign(report: &mut Report) {
    let (small, bare) = (guests::bare_greeter("bench-typed"), guests::bare_greeter("bench-foreign"));
    let plugin = plugins::greeter("bench-foreign", "", plugins::server());
    for callers in CALLERS {
        let ways = [
            Way::on_threads("typed call: wasmtime alone", || guests::greet(&small).boxed_local()),
            Way::on_threads("foreign guest: wasmtime alone", || guests::greet(&bare).boxed_local()),
            Way::on_threads("foreign guest: berth's engine", || plugins::greet(&plugin).boxed_local()),
        ];
        let figures = report.compare(callers, &ways);
        if callers == 1 {
            let what = "foreign guest with the default stack, against the bare small one";
            report.aim(what, figures[2].times_p50, "×", Aim::AtMost(3.0));
        }
    }
}

/// `invoke` with a small JSON object, said back.
pub fn dynamic(report: &mut Report) {
    let component = guests::fixture("bench-dynamic");
    let request =
        || Request { name: "echo".to_owned(), arguments: plugins::name().to_string(), meta: Vec::new() };
    type Answer = (Result<Output, WitError>,);
    let interface = "berth:plugin/tools@0.1.0";
    let bare = Bare::quickest::<_, Answer>(&component, interface, "invoke", None, move || (request(),));
    let plugin = plugins::load(component, &plugins::minimal("bench-dynamic"), plugins::server());
    for callers in CALLERS {
        let alone = || {
            async {
                let (answer,) = bare.call::<_, Answer>((request(),)).await;
                let content: serde_json::Value = serde_json::from_str(&answer.unwrap().content).unwrap();
                assert_eq!(content["name"], "berth");
            }
            .boxed_local()
        };
        let ways = [
            Way::on_threads("dynamic call: wasmtime alone", alone),
            Way::on_threads("dynamic call: berth's engine", || plugins::echo(&plugin).boxed_local()),
        ];
        report.compare(callers, &ways);
    }
}
