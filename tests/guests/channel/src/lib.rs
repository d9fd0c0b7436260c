//! A channel that does as the people who write to it say.
//!
//! A request to its web address `in` is a JSON object: a message with `id`, `from` and `text`, or what to `do`. What it
//! sends it prints, so that a story can look.

use std::cell::Cell;

use berth_plugin::channel::inbound::{self, NewMessage, Sender};
use berth_plugin::channel::websocket::{self, ConnectRequest};
use berth_plugin::channel::{
    Address, Binding, Channel, Delivery, Description, Event, Occurrence, PartOutcome, PollAnswer, PollWish,
    Reach, SentPart, SocketWish, TimerWish, WebhookRequest, WebhookResponse, WebhookWish, Wishes,
};
use berth_plugin::{Error, Value, approval, call, capabilities, endpoints, export_channel, json};

struct Obedient;

thread_local! {
    /// What this instance was asked so far.
    static ASKED: Cell<u32> = const { Cell::new(0) };
}

export_channel!(Obedient);

impl Channel for Obedient {
    fn describe() -> Description {
        Description {
            provider_type: "test".into(),
            display_name: "Test channel".into(),
            address_kinds: vec!["direct".into()],
            supports_markdown: true,
            max_text_bytes: Some(400),
            meta: vec![],
        }
    }

    fn start(binding: Binding) -> Result<Wishes, Error> {
        say(&format!("start position={} state={}", binding.position, binding.state.len()));
        let granted = capabilities::granted();
        let polls = polls(&granted, &binding.state);
        Ok(Wishes {
            webhooks: vec![
                WebhookWish {
                    name: "in".into(),
                    methods: vec!["GET".into(), "POST".into()],
                    headers: vec!["X-Sign".into()],
                    meta: vec![],
                },
                WebhookWish {
                    name: "second".into(),
                    methods: vec!["POST".into()],
                    headers: vec![],
                    meta: vec![],
                },
            ],
            timers: vec![TimerWish {
                name: "tick".into(),
                every_ms: Some(60_000),
                at_ms: None,
                meta: vec![],
            }],
            state: if polls.is_null() { b"kept".to_vec() } else { polls.to_string().into_bytes() },
            polls: polls.as_array().into_iter().flatten().map(poll).collect(),
            sockets: sockets(&granted),
            meta: vec![],
        })
    }

    fn on_webhook(request: WebhookRequest) -> WebhookResponse {
        ASKED.set(ASKED.get() + 1);
        if request.method == "GET" {
            return answer(200, &json!({ "query": request.query, "headers": request.headers }));
        }
        let Ok(body) = serde(&request.body) else { return answer(400, &json!({ "code": "no_json" })) };
        match obey(&body) {
            Ok(Done::Said(value)) => answer(200, &value),
            Ok(Done::Raw(response)) => response,
            Err(error) => answer(500, &json!({ "code": error.code, "message": error.message })),
        }
    }

    fn on_event(event: Event) -> Result<(), Error> {
        ASKED.set(ASKED.get() + 1);
        let text = match event.what {
            Occurrence::Timer(name) => format!("timer {name}"),
            Occurrence::SocketFrame(frame) => {
                let text = String::from_utf8_lossy(&frame.data).into_owned();
                match text.as_str() {
                    "poison" => panic!("it was poison"),
                    "refuse" => return Err(Error::new("REFUSED", "no thank you")),
                    "later" if event.attempt == 1 => {
                        return Err(Error::new("LATER", "not now").retryable());
                    }
                    "hang up" => {
                        websocket::close(frame.socket, 1000, "bye")?;
                        return Ok(());
                    }
                    "wait" => wait(),
                    "ask" => {
                        endpoints::call("", "rpi.door", &json!({}))?;
                    }
                    "echo" => websocket::send(frame.socket, true, b"echo")?,
                    _ => {}
                }
                format!("frame {text}")
            }
            Occurrence::SocketOpened(state) => format!("opened {}", state.name),
            Occurrence::SocketClosed(state) => {
                format!("closed {} {} {}", state.name, state.code, state.reason)
            }
            Occurrence::SocketWanted(name) => format!("wanted {name}"),
            Occurrence::PollAnswered(answer) => {
                let text = polled(&answer)?;
                message(&event.id, "provider", &text, false)?;
                if text.contains("linger") {
                    wait();
                }
                return Ok(());
            }
            Occurrence::ApprovalAnswered(answer) => {
                format!("answered {} {} {}", answer.pending_id, answer.approved, answer.reason)
            }
            Occurrence::Other(what) => what,
        };
        message(&event.id, "provider", &text, false).map(|_| ())
    }

    fn deliver(delivery: Delivery) -> Vec<PartOutcome> {
        delivery.parts.iter().map(|part| send(&delivery, part.index, &part.text)).collect()
    }

    fn reachability(address: Address) -> Reach {
        if address.external_ref == "gone" { Reach::Unreachable("left".into()) } else { Reach::Reachable }
    }

    fn stop(reason: String) {
        say(&format!("stop {reason}"));
    }
}

/// The sockets that the endpoint `rpi.sockets` names, else one.
fn sockets(granted: &[String]) -> Vec<SocketWish> {
    if !granted.iter().any(|name| name == "websocket") {
        return vec![];
    }
    let wish =
        |name: String, url: &str| SocketWish { name, url: Some(url.into()), headers: vec![], meta: vec![] };
    match heard("rpi.sockets").as_array() {
        Some(urls) => {
            let urls = urls.iter().filter_map(Value::as_str).enumerate();
            urls.map(|(index, url)| wish(format!("socket-{index}"), url)).collect()
        }
        None => vec![wish("feed".into(), "wss://chat.example/feed")],
    }
}

/// The polls that the endpoint `rpi.polls` names, or has named once, where the channel may send requests.
fn polls(granted: &[String], kept: &[u8]) -> Value {
    if !granted.iter().any(|name| name == "http") {
        return Value::Null;
    }
    // A device answers with an object.
    let heard = heard("rpi.polls");
    let wishes = if heard["polls"].is_array() { heard["polls"].clone() } else { heard };
    if wishes.is_array() { wishes } else { serde(kept).unwrap_or(Value::Null) }
}

fn poll(wish: &Value) -> PollWish {
    let maybe = |key: &str| wish[key].as_str().map(str::to_owned);
    let text = |key: &str| maybe(key).unwrap_or_default();
    let headers = wish["headers"].as_object().into_iter().flatten();
    PollWish {
        name: text("name"),
        method: maybe("method").unwrap_or_else(|| "GET".into()),
        url: text("url"),
        headers: headers
            .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().into()))
            .collect(),
        body: text("body").into_bytes(),
        every_ms: wish["every_ms"].as_u64().unwrap_or_default(),
        timeout_ms: wish["timeout_ms"].as_u64().and_then(|ms| u32::try_from(ms).ok()).unwrap_or_default(),
        only_changes: wish["only_changes"] == true,
        items: maybe("items"),
        next: maybe("next"),
        first: text("first"),
        answer_headers: vec!["x-sign".into()],
        meta: vec![],
    }
}

/// What is told of an answer; one that says so is refused, held up, or acknowledged.
fn polled(answer: &PollAnswer) -> Result<String, Error> {
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    if text.contains("refuse") {
        return Err(Error::new("REFUSED", "no thank you"));
    }
    if text.contains("hold") {
        wait();
    }
    if let Some(token) = text.strip_prefix("ack ") {
        inbound::ack(token)?;
    }
    Ok(format!("polled {} {} after `{}`: {text}", answer.name, answer.status, answer.cursor))
}

enum Done {
    Said(Value),
    Raw(WebhookResponse),
}

fn obey(body: &Value) -> Result<Done, Error> {
    let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
    Ok(Done::Said(match body["do"].as_str() {
        None => message(&text("id"), &text("from"), &text("text"), body["quiet"] != true)?,
        Some("trap") => panic!("as asked"),
        Some("spin") => loop {
            std::hint::black_box(body);
        },
        Some("wait") => {
            wait();
            json!({ "waited": true })
        }
        Some("ask") => endpoints::call("", "rpi.door", &json!({}))?,
        Some("ask-and-tell") => {
            let told = endpoints::call("", "rpi.door", &json!({}));
            let error = told.expect_err("nobody said yes");
            json!({ "code": error.code, "retryable": error.retryable, "details": error.details })
        }
        Some("asked") => json!({ "asked": ASKED.get() }),
        Some("context") => json!({ "actor": call::context().actor_id }),
        Some("ack") => {
            inbound::ack(&text("token"))?;
            json!({ "acked": true })
        }
        // The batch is not whole: the second message has no id.
        Some("batch") => {
            message(&text("id"), "ada", "first", false)?;
            let _refused = message("", "ada", "second", false);
            inbound::ack(&text("token"))?;
            json!({ "acked": true })
        }
        Some("seen") => json!({ "address": inbound::address_seen(&address(&text("from")))? }),
        Some("report") => {
            inbound::delivery_update(&inbound::DeliveryReport {
                delivery_id: text("delivery"),
                part: 0,
                outcome: PartOutcome::Sent(SentPart { ref_: "late".into(), remaining: None, until_ms: None }),
                meta: vec![],
            })?;
            json!({ "reported": true })
        }
        Some("connect") => {
            let socket = websocket::connect(&ConnectRequest {
                name: text("name"),
                url: text("url"),
                headers: vec![],
                protocols: vec![],
                reconnect: body["reconnect"] == true,
                meta: vec![],
            })?;
            json!({ "socket": socket })
        }
        Some("send") => {
            let socket = body["socket"].as_u64().unwrap_or_default();
            websocket::send(socket, true, text("text").as_bytes())?;
            json!({ "sent": true })
        }
        Some("question") => json!({ "pending": approval::ask(&text("title"), "external_write", "")? }),
        Some("close") => {
            websocket::close(body["socket"].as_u64().unwrap_or_default(), 1000, "done")?;
            json!({ "closed": true })
        }
        Some("answer") => {
            let status = body["status"].as_u64().and_then(|status| u16::try_from(status).ok());
            return Ok(Done::Raw(WebhookResponse {
                status: status.unwrap_or(200),
                headers: vec![("content-type".into(), text("type")), ("set-cookie".into(), "a=b".into())],
                body: vec![
                    b'x';
                    body["bytes"].as_u64().and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(1)
                ],
                meta: vec![],
            }));
        }
        Some(other) => return Err(Error::new("UNKNOWN", other)),
    }))
}

fn send(delivery: &Delivery, index: u32, text: &str) -> PartOutcome {
    let key = format!("{}/{index}", delivery.id);
    let word = |word: &str| text.contains(word);
    // The echo of the scripted model repeats what was written.
    if word("please retry") && delivery.attempt == 1 {
        return PartOutcome::RetryAfter(5000);
    }
    if word("please trap") {
        panic!("while sending {key}");
    }
    if word("nobody knows") {
        return PartOutcome::Ambiguous;
    }
    if word("never ever") {
        return PartOutcome::Permanent("blocked".into());
    }
    if word("wrong key") {
        return PartOutcome::Unauthorized;
    }
    if word("closed window") && delivery.attempt == 1 {
        return PartOutcome::WindowClosed;
    }
    if word("please ask") && endpoints::call("", "rpi.door", &json!({})).is_err() {
        return PartOutcome::Permanent("not_allowed".into());
    }
    if word("few are left") {
        return PartOutcome::Sent(SentPart { ref_: key, remaining: Some(0), until_ms: None });
    }
    if word("please wait") {
        wait();
    }
    say(&format!("sent {} {text}", delivery.address.external_ref));
    PartOutcome::Sent(SentPart { ref_: key, remaining: None, until_ms: None })
}

fn message(id: &str, from: &str, text: &str, wants_reply: bool) -> Result<Value, Error> {
    let taken = inbound::message(&NewMessage {
        message_id: id.into(),
        address: address(from),
        sender: Sender { external_ref: from.into(), display_name: from.into(), meta: vec![] },
        conversation: String::new(),
        text: text.into(),
        attachments: vec![],
        sent_at_ms: None,
        in_reply_to: String::new(),
        wants_reply,
        meta: vec![],
    })?;
    Ok(json!({ "thread": taken.thread_id, "run": taken.run_id, "duplicate": taken.duplicate }))
}

fn address(from: &str) -> Address {
    Address { external_ref: from.into(), kind: "direct".into(), display_name: from.into(), meta: vec![] }
}

/// Waits in the host until a story lets it go on.
fn wait() {
    let _let_go = endpoints::call("", "rpi.gate", &json!({}));
}

fn answer(status: u16, value: &Value) -> WebhookResponse {
    WebhookResponse {
        status,
        headers: vec![("content-type".into(), "application/json".into())],
        body: value.to_string().into_bytes(),
        meta: vec![],
    }
}

fn serde(body: &[u8]) -> Result<Value, ()> {
    let text = std::str::from_utf8(body).map_err(|_| ())?;
    text.parse().map_err(|_| ())
}

#[expect(clippy::print_stdout, reason = "what a story looks at")]
fn say(text: &str) {
    println!("{text}");
}

/// What an endpoint says of `tool`, where the channel may ask.
fn heard(tool: &str) -> Value {
    if !capabilities::check("endpoint", &json!({ "tools": [tool] })) {
        return Value::Null;
    }
    endpoints::call("", tool, &json!({})).unwrap_or(Value::Null)
}

#[allow(unsafe_code, dead_code, clippy::all, reason = "generated")]
mod extras {
    use self::berth::plugin::delivery_types::{Address, Part, SentPart};
    use self::berth::plugin::types::Error;
    use super::{heard, say};
    use berth_plugin::capabilities;
    use exports::berth::plugin::pulse::Finding;
    use exports::berth::plugin::reconcile::PartOutcome;
    use exports::berth::plugin::{channel_edit, health, lifecycle, pulse, reconcile};

    wit_bindgen::generate!({
        path: "../../../wit",
        inline: "package guest:channel;
            world extras {
                export berth:plugin/reconcile@0.1.0;
                export berth:plugin/channel-edit@0.1.0;
                export berth:plugin/health@0.1.0;
                export berth:plugin/lifecycle@0.1.0;
                export berth:plugin/pulse@0.1.0;
            }",
        world: "guest:channel/extras",
        generate_all,
    });

    struct Remembering;

    fn error(code: &str, message: String) -> Error {
        Error { code: code.into(), message, retryable: false, retry_after_ms: None, details: None }
    }

    /// Knows what became of a part only where it may ask the provider, which is an endpoint here.
    impl reconcile::Guest for Remembering {
        fn reconcile(key: String) -> Result<PartOutcome, Error> {
            if capabilities::granted().iter().any(|name| name == "endpoint") {
                return Ok(PartOutcome::Sent(SentPart { ref_: key, remaining: None, until_ms: None }));
            }
            Err(error("NOBODY_KNOWS", key))
        }
    }

    /// Does what it is asked, but with a text that says otherwise.
    impl channel_edit::Guest for Remembering {
        fn edit(address: Address, ref_: String, part: Part) -> Result<(), Error> {
            match part.text.as_str() {
                "too late" => return Err(error("TOO_OLD", ref_)),
                "not now" => return Err(Error { retryable: true, ..error("BUSY", ref_) }),
                text => say(&format!("edited {} {} {text}", address.external_ref, short(&ref_))),
            }
            Ok(())
        }

        fn retract(address: Address, ref_: String) -> Result<(), Error> {
            say(&format!("retracted {} {}", address.external_ref, short(&ref_)));
            Ok(())
        }

        fn react(address: Address, ref_: String, emoji: String, add: bool) -> Result<(), Error> {
            say(&format!("reacted {} {} {emoji} {add}", address.external_ref, short(&ref_)));
            Ok(())
        }

        fn typing(address: Address) -> Result<(), Error> {
            say(&format!("typing {}", address.external_ref));
            Ok(())
        }
    }

    /// The part that the reference names.
    fn short(reference: &str) -> String {
        reference.rsplit('/').next().unwrap_or_default().to_owned()
    }

    /// As well as the endpoint says.
    impl health::Guest for Remembering {
        fn check() -> Result<(), Error> {
            match heard("rpi.health")["ill"].as_str() {
                Some(why) => Err(error("PROVIDER_DOWN", why.to_owned())),
                None => Ok(()),
            }
        }
    }

    /// Versions whose minor number is 4 left what nobody can read, and those with 5 what nobody survives.
    impl lifecycle::Guest for Remembering {
        fn upgrade(from: String) -> Result<(), Error> {
            match from.as_str() {
                "0.4.0" => Err(error("UNREADABLE", "what is stored cannot be read".into())),
                "0.5.0" => panic!("no upgrade from {from}"),
                _ => {
                    let granted = capabilities::granted().join(" ");
                    say(&format!("upgrade from {from} with {granted}"));
                    Ok(())
                }
            }
        }
    }

    /// Finds what the endpoint finds.
    impl pulse::Guest for Remembering {
        fn pulse(since_ms: u64) -> Result<Finding, Error> {
            let news = heard("rpi.pulse");
            Ok(match news["notable"].as_str() {
                Some("broken") => return Err(error("PROVIDER_DOWN", "nobody answers".into())),
                Some(text) => Finding::Notable(format!("{text} since {since_ms}")),
                None => Finding::Quiet,
            })
        }
    }

    #[cfg(target_family = "wasm")]
    export!(Remembering);
    #[cfg(not(target_family = "wasm"))]
    const _: Remembering = Remembering;
}
