//! Asks the search service of the operator's choice: any that answers with a list in JSON.

use berth_plugin::http::Request;
use berth_plugin::{Value, config};

use crate::{Error, Hit, failure, fetch, told};

const USUAL_HITS: u32 = 5;
const MOST_HITS: u32 = 20;
const MOST_BYTES: usize = 1024 * 1024;
const MOST_CHARS: usize = 600;

pub fn search(query: &str, limit: Option<u32>) -> Result<Vec<Hit>, Error> {
    if query.trim().is_empty() {
        return Err(failure("invalid_arguments", "`query` is empty: say what to look for"));
    }
    let Some(template) = config::get("search_url").map_err(told)? else {
        let message = "no search service is set. The operator can: in berth.toml, under [plugin.web.config], search_url = \
                       \"https://SERVICE/search?q={query}&format=json\", and grant http for it";
        return Err(failure("no_search", message));
    };
    let limit = limit.unwrap_or(USUAL_HITS).min(MOST_HITS);
    let escaped: String = url::form_urlencoded::byte_serialize(query.trim().as_bytes()).collect();
    let address = template.replace("{query}", &escaped).replace("{limit}", &limit.to_string());
    let mut request = Request::get(address).with_header("accept", "application/json").at_most(MOST_BYTES);
    if let Some(header) = config::get("search_header").map_err(told)? {
        let Some((name, value)) = header.split_once(':') else {
            return Err(failure("no_search", "the setting `search_header` is no `Name: value`"));
        };
        request = request.with_header(name.trim(), value.trim());
    }
    let answer = fetch::send(request)?.successful().and_then(|answer| answer.json()).map_err(told)?;
    hits(&answer, limit as usize)
}

fn hits(answer: &Value, limit: usize) -> Result<Vec<Hit>, Error> {
    let setting = |key: &str, usual: &str| {
        config::get(key).map_err(told).map(|set| set.unwrap_or_else(|| usual.to_owned()))
    };
    let results = setting("search_results", "/results")?;
    let (title, link, text) = (
        setting("search_title", "title")?,
        setting("search_link", "url")?,
        setting("search_text", "content")?,
    );
    let list = answer.pointer(&results).and_then(Value::as_array).ok_or_else(|| {
        failure("invalid_answer", format!("the search service answered without a list at `{results}`"))
    })?;
    let field = |result: &Value, key: &str| -> String {
        result[key].as_str().unwrap_or_default().chars().take(MOST_CHARS).collect()
    };
    let hit = |result: &Value| Hit {
        title: field(result, &title),
        url: field(result, &link),
        text: field(result, &text),
    };
    Ok(list.iter().map(hit).filter(|hit| !hit.url.is_empty()).take(limit).collect())
}
