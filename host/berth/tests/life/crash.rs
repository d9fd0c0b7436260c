//! What `kill -9` leaves behind.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use super::api::{Api, Told, run_of};
use super::databases::PostgresDatabase;
use crate::support::{Host, Options};

/// Crashes of one host.
const ROUNDS: usize = 20;
/// The database goes on there, so that there is less to break.
const POSTGRES_ROUNDS: usize = 8;

/// What is said in a round: slow words, a reading tool with slow words, a tool with effects, two messages at once.
fn lines(round: usize) -> Vec<String> {
    let slow = format!("/slow {}", 5 + round % 5 * 10);
    match round % 4 {
        0 => vec![format!("{slow}\n/say one two three four five six seven eight")],
        1 => vec![format!("{slow}\n/call files_list {{\"path\":\".\"}}")],
        2 => vec![format!("/call files_write {{\"path\":\"{round}.txt\",\"text\":\"{round}\"}}\n{slow}")],
        _ => vec![format!("{slow}\n/say a b c d"), format!("{slow}\n/say e f g h")],
    }
}

/// A message that the client knows of, under its own key.
struct Sent {
    key: String,
    text: String,
    /// As the host confirmed it; nothing when it died first.
    accepted: Option<Value>,
}

#[tokio::test]
async fn kill_9_at_any_moment_loses_no_accepted_message_and_doubles_no_reply() {
    crash_often(Host::start(Options::bundled()), ROUNDS).await;
}

#[tokio::test]
async fn kill_9_beside_postgresql_loses_and_doubles_nothing_either() {
    let Some(database) = PostgresDatabase::create().await else { return };
    let options = Options::bundled().arg("--database").arg(database.url());
    crash_often(Host::start(options), POSTGRES_ROUNDS).await;
    database.remove().await;
}

async fn crash_often(mut host: Host, rounds: usize) {
    let thread = Api::of(&host).new_thread().await;
    let mut sent: Vec<Sent> = Vec::new();

    for round in 0..rounds {
        let api = Api::of(&host);
        let last = sent.iter().filter(|message| message.accepted.is_some()).count();
        let mut listener = api.listen(&thread, 0).await;
        let mut waiting = Vec::new();
        for (index, text) in lines(round).into_iter().enumerate() {
            let key = format!("{round}-{index}");
            // Each fifth time nobody waits for the answer: the message may be half written when the host dies.
            let accepted = if round % 5 == 4 {
                let (api, thread, key, text) = (api.clone(), thread.clone(), key.clone(), text.clone());
                waiting.push(tokio::spawn(async move { api.try_message(&thread, &key, &text).await }));
                None
            } else {
                Some(api.message(&thread, &key, &text).await)
            };
            sent.push(Sent { key, text, accepted });
        }
        // The moment: behind the first events of this round, one more in each.
        if waiting.is_empty() {
            let known: Vec<_> =
                sent[last..].iter().flat_map(|sent| sent.accepted.as_ref().map(run_of)).collect();
            let mut heard = 0;
            while heard < round / 2 {
                let Some(event) = listener.next().await else { break };
                let event: Value = serde_json::from_str(&event.data).unwrap_or_default();
                heard += usize::from(known.iter().any(|run| event["run_id"] == run.as_str()));
                if event["run_id"] == known.last().unwrap().as_str() && event["type"] == "run.completed" {
                    break;
                }
            }
        }
        host.kill9();
        for (answer, sent) in waiting.into_iter().zip(&mut sent[last..]) {
            sent.accepted = answer.await.unwrap();
        }
        host.restart();
        // A careful client says again what was not confirmed; a nervous one says all of it again.
        let api = Api::of(&host);
        for message in sent.iter_mut().rev().take(2) {
            let again = api.message(&thread, &message.key, &message.text).await;
            if let Some(accepted) = &message.accepted {
                assert_eq!(again["message_id"], accepted["message_id"]);
                assert_eq!(again["idempotent_replay"], true);
            }
            message.accepted = Some(again);
        }
    }

    let api = Api::of(&host);
    let runs: Vec<String> = sent.iter().map(|sent| run_of(sent.accepted.as_ref().unwrap())).collect();
    let told = api.history(&thread, &runs).await;
    check_log(&told, &runs);
    let messages = api.get(&format!("/runtime/threads/{thread}/messages")).await;
    check_messages(messages.as_array().unwrap(), &sent, &told);
    host.stop();
}

/// The log has no gap and no repeat, and each run ends once.
fn check_log(told: &[Told], runs: &[String]) {
    assert!(told.is_sorted_by(|a, b| a.cursor < b.cursor));
    let mut by_run: BTreeMap<&str, Vec<&Told>> = BTreeMap::new();
    for event in told {
        by_run.entry(&event.run).or_default().push(event);
    }
    assert_eq!(by_run.len(), runs.len(), "a message has one run");
    for (run, events) in by_run {
        let seqs: Vec<i64> = events.iter().map(|event| event.seq).collect();
        assert_eq!(seqs, (1..=seqs.len() as i64).collect::<Vec<_>>(), "{run}");
        let ends = events.iter().filter(|event| event.ends_run()).count();
        let replies = events.iter().filter(|event| event.kind == "message.completed").count();
        assert_eq!((ends, replies), (1, 1), "{run}: {events:#?}");
        assert!(events.last().unwrap().ends_run(), "{run}");
    }
}

/// Each message is there once, and has one reply, which says how its run ended.
fn check_messages(messages: &[Value], sent: &[Sent], told: &[Told]) {
    let ends: HashMap<&str, &Told> =
        told.iter().filter(|event| event.ends_run()).map(|event| (event.run.as_str(), event)).collect();
    assert_eq!(messages.len(), sent.len() * 2);
    for Sent { key, text, accepted } in sent {
        let accepted = accepted.as_ref().unwrap();
        let of_run = |role: &str| -> Vec<&Value> {
            messages
                .iter()
                .filter(|message| message["role"] == role && message["run_id"] == accepted["run_id"])
                .collect()
        };
        let (asked, answered) = (of_run("user"), of_run("assistant"));
        assert_eq!((asked.len(), answered.len()), (1, 1), "{key}: {asked:?} {answered:?}");
        assert_eq!(asked[0]["content"], text.as_str());
        let end = ends[run_of(accepted).as_str()];
        match end.kind.as_str() {
            "run.completed" => assert_eq!(answered[0]["status"], "completed"),
            "run.failed" => {
                assert_eq!(answered[0]["status"], "failed");
                assert_eq!(end.payload["code"], "core_restarted");
                assert!(
                    text.contains("files_write"),
                    "only a tool with effects keeps a run from resuming: {text}"
                );
            }
            other => panic!("{key} ended as {other}"),
        }
    }
}
