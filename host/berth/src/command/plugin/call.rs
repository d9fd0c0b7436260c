//! `berth plugin call`.

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use serde_json::{Map, Value, json};

use super::signature::signature;
use crate::cli::Global;
use crate::client::Client;
use crate::failure::Failure;
use crate::nearest::{corrected, nearest};
use crate::output::{self, items, text};
use crate::talk::said;

const EXAMPLES: &str = "\
Examples:
  berth plugin call echo_say '{\"text\": \"hello\"}'
  berth plugin call files_list
  jq -n '{text: \"hello\"}' | berth plugin call echo_say -

The call goes through the same gate as every other one. With --json the answer has the operation, its receipt and the \
error, if there is one, and standard output has it in each case.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// The name of the tool, such as clock_now.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    tool: String,
    /// A JSON object; - reads it from standard input.
    #[arg(value_name = "JSON", default_value = "{}")]
    arguments: String,
    /// The workspace.
    #[arg(long, value_name = "ID", default_value = "personal", value_parser = NonEmptyStringValueParser::new())]
    workspace: String,
    /// Tell what would be done, and do nothing: uses that change something are denied.
    #[arg(long)]
    dry_run: bool,
    /// The language of the answer, such as de-CH.
    #[arg(long, value_name = "TAG", value_parser = NonEmptyStringValueParser::new())]
    locale: Option<String>,
}

pub async fn run(global: &Global, client: &Client, options: Options) -> Result<(), Failure> {
    let source = said(&options.arguments)?;
    let arguments: Map<String, Value> = serde_json::from_str(&source)
        .map_err(|error| Failure::Usage(format!("the arguments are no JSON object: {error}")))?;
    let body = json!({
        "tool": options.tool, "arguments": arguments, "workspace_id": options.workspace,
        "dry_run": options.dry_run, "locale": options.locale,
    });
    let answer = match client.post_and_wait("/operator/plugins/call", &body).await {
        Ok(answer) => answer,
        Err(failure) => return Err(explained(client, &options.tool, failure).await),
    };
    let failed = !answer["error"].is_null();
    if global.json {
        output::json(&answer);
        return if failed { Err(Failure::Silent) } else { Ok(()) };
    }
    if failed {
        let error = &answer["error"];
        let failure = Failure::Failed {
            code: text(error, "code"),
            message: told(&answer),
            details: error["details"].clone(),
        };
        return Err(explained(client, &options.tool, failure).await);
    }
    let pretty = serde_json::to_string_pretty(&answer["result"]).map_err(anyhow::Error::from)?;
    output::line(&output::plain(&pretty));
    Ok(())
}

/// The failure with the way out: what the tool takes, or the tool that was meant.
async fn explained(client: &Client, tool: &str, failure: Failure) -> Failure {
    let is_of_arguments = failure.code() == "INVALID_ARGUMENTS";
    if !is_of_arguments && !UNKNOWN.contains(&failure.code()) {
        return failure;
    }
    let plugins = client.get("/operator/plugins").await.unwrap_or_default();
    let tools: Vec<&Value> = items(&plugins).iter().flat_map(|plugin| items(&plugin["tools"])).collect();
    if !is_of_arguments {
        let offers = |plugin: &&Value| items(&plugin["tools"]).iter().any(|one| one["name"] == tool);
        let names = tools.iter().filter_map(|tool| tool["name"].as_str());
        let way = match (items(&plugins).iter().find(offers), nearest(tool, names)) {
            // It is there, and switched off, failed or in quarantine.
            (Some(plugin), _) => format!("berth plugin show {}", text(plugin, "plugin_id")),
            (None, Some(meant)) => corrected(tool, meant),
            (None, None) => "berth plugin list".to_owned(),
        };
        return failure.trying(|| Some(way));
    }
    let Some(schema) = tools.iter().find(|one| one["name"] == tool).map(|one| &one["input_schema"]) else {
        return failure;
    };
    match failure {
        Failure::Failed { code, message, details } => {
            let message = format!("the arguments do not fit {tool}: {message}");
            Failure::Failed { code, message, details }.trying(|| Some(signature(tool, schema, None)))
        }
        other => other,
    }
}

/// Codes of a call for which there is no tool.
const UNKNOWN: [&str; 2] = ["execution_target_unavailable", "core_tool_not_found"];

/// What went wrong, in the tool's own words where it has some: the host's summary of them may be cut.
fn told(answer: &Value) -> String {
    let result = &answer["result"];
    if let Some(words) = result.as_str().or_else(|| result["message"].as_str()) {
        return words.to_owned();
    }
    // The case of a variant, with what it carries.
    match (result["tag"].as_str(), &result["val"]) {
        (Some(case), Value::Null) => case.to_owned(),
        (Some(case), Value::String(words)) => format!("{case}: {words}"),
        (Some(case), other) => format!("{case}: {other}"),
        (None, _) => text(&answer["error"], "message"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_that_says_what_went_wrong_is_heard_whole() {
        let error = json!({ "code": "tool_reported_error", "message": "no su…" });
        for (result, told_) in [
            (json!("no such file"), "no such file"),
            (json!({ "code": "missing", "message": "no such file" }), "no such file"),
            (json!({ "tag": "missing" }), "missing"),
            (json!({ "tag": "missing", "val": "no such file" }), "missing: no such file"),
            (json!({ "tag": "missing", "val": [1] }), "missing: [1]"),
            (json!({ "unknown": 1 }), "no su…"),
            (Value::Null, "no su…"),
        ] {
            assert_eq!(told(&json!({ "result": result, "error": error })), told_);
        }
    }
}
