//! The settings of `berth-pi`: the JSON file of MeetYou's Raspberry Pi provider, as it is.
//!
//! Numbers out of their range are moved into it, as that provider does; a key that nobody reads is refused with its line.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use berth_proto::JsonMap;
use berth_proto::fields::{Fields, int, text};
use berth_provider::Identity;
use serde_json::Value;

use crate::config_keys;
use crate::device::{self, Device, DeviceError};
use crate::gpio::MAX_PIN;
use crate::shell::{SafeShell, Template};
use crate::shell_words;

/// The settings, checked.
#[derive(Debug, Clone)]
pub struct Config {
    pub core_base_url: String,
    pub identity: Identity,
    /// The name of the environment variable with the token.
    pub token_env: String,
    pub token_file: Option<PathBuf>,
    /// The token in the file itself: the last resort.
    pub core_access_token: Option<String>,
    /// 1 to 4.
    pub max_parallel_calls: usize,
    pub reconnect_initial: Duration,
    pub reconnect_max: Duration,
    pub max_timeout: Duration,
    pub allowed_pins: Vec<u8>,
    pub default_write_ms: u64,
    /// Sorted by id.
    pub devices: Vec<Device>,
    pub shell: SafeShell,
    /// `simulated`, `gpiocdev` or `rppal`; `None` when the file does not say.
    pub gpio_backend: Option<String>,
    pub gpio_chip: String,
    /// What was left out.
    pub remarks: Vec<String>,
}

/// Why the settings cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ConfigError {
    /// A word of `docs/errors.md`.
    pub code: &'static str,
    pub message: String,
}

impl From<DeviceError> for ConfigError {
    fn from(DeviceError { code, message }: DeviceError) -> Self {
        Self { code, message }
    }
}

impl Config {
    /// Reads the text of the file, `{}` for none; `env` gives the environment, which wins.
    pub fn parse(file: &str, env: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let env = |names: &[&str]| {
            let values = names.iter().filter_map(|name| env(name));
            values.map(|value| value.trim().to_owned()).find(|value| !value.is_empty())
        };
        let root: Value = serde_json::from_str(file).map_err(|error| ConfigError {
            code: "invalid_config_json",
            message: format!("the configuration is no JSON: {error}"),
        })?;
        let Value::Object(root) = root else {
            return Err(ConfigError {
                code: "invalid_config_shape",
                message: "the configuration is no JSON object".to_owned(),
            });
        };
        config_keys::check(file)
            .map_err(|error| ConfigError { code: "invalid_config_key", message: error.to_string() })?;
        let mut remarks = Vec::new();
        let fields = Fields(&root);
        if fields.maybe_text(&["connect_path"]).is_some_and(|path| path != berth_proto::PATH) {
            remarks.push(format!("`connect_path` is always {}", berth_proto::PATH));
        }
        let tables: BTreeMap<&str, JsonMap> = ["reconnect", "operation", "security"]
            .into_iter()
            .map(|table| (table, fields.object(&[table])))
            .collect();
        let table = |name: &str| Fields(&tables[name]);
        let security = table("security");
        let allowed_pins = allowed_pins(security, &mut remarks);
        let (reconnect, operation) = (table("reconnect"), table("operation"));
        let max_timeout_seconds =
            number(operation, "max_timeout_seconds", 300, &mut remarks).clamp(1, 86_400);
        Ok(Self {
            core_base_url: env(&["MEETYOU_RPI_CORE_BASE_URL", "MEETYOU_CORE_BASE_URL"])
                .or_else(|| fields.maybe_text(&["core_base_url"]))
                .unwrap_or_else(|| "http://127.0.0.1:8787".to_owned()),
            identity: identity(fields, &env),
            token_env: env(&["MEETYOU_RPI_ENDPOINT_TOKEN_ENV"])
                .or_else(|| fields.maybe_text(&["endpoint_token_env"]))
                .unwrap_or_else(|| "MEETYOU_RPI_ENDPOINT_TOKEN".to_owned()),
            token_file: fields.maybe_text(&["token_file"]).map(PathBuf::from),
            core_access_token: fields.maybe_text(&["core_access_token"]),
            max_parallel_calls: usize::try_from(
                number(fields, "max_parallel_calls", 2, &mut remarks).clamp(1, 4),
            )
            .unwrap_or(2),
            reconnect_initial: seconds(reconnect, "initial_delay_seconds", 1.0, 0.1, &mut remarks),
            reconnect_max: seconds(reconnect, "max_delay_seconds", 30.0, 1.0, &mut remarks),
            max_timeout: Duration::from_secs(max_timeout_seconds),
            default_write_ms: number(security, "gpio_write_default_duration_ms", 500, &mut remarks)
                .min(60_000),
            devices: device::read_all(root.get("devices"), &allowed_pins)?,
            allowed_pins,
            shell: SafeShell {
                templates: templates(security, &env, &mut remarks),
                sandbox_dir: security
                    .maybe_text(&["sandbox_dir"])
                    .unwrap_or_else(|| "/var/lib/meetyou-rpi/sandbox".to_owned())
                    .into(),
                default_timeout_seconds: number(operation, "default_timeout_seconds", 30, &mut remarks)
                    .max(1),
                max_timeout_seconds,
            },
            gpio_backend: fields.maybe_text(&["gpio_backend"]),
            gpio_chip: fields.maybe_text(&["gpio_chip"]).unwrap_or_else(|| "/dev/gpiochip0".to_owned()),
            remarks,
        })
    }

    /// The raw level at which each device's pin does no harm.
    pub fn off_levels(&self) -> BTreeMap<u8, bool> {
        let outputs = self.devices.iter().filter(|device| matches!(device.role, device::Role::Output { .. }));
        outputs.map(|device| (device.pin, device.level(false))).collect()
    }
}

fn identity(fields: Fields<'_>, env: &impl Fn(&[&str]) -> Option<String>) -> Identity {
    let provider_type = fields.maybe_text(&["provider_type"]).unwrap_or_else(|| "rpi".to_owned());
    let id = env(&["MEETYOU_RPI_ENDPOINT_ID"]).or_else(|| fields.maybe_text(&["endpoint_id"]));
    let mut identity = Identity::executor(&provider_type, id.as_deref().unwrap_or("raspberry-pi-dev"));
    let name = env(&["MEETYOU_RPI_ENDPOINT_NAME"]).or_else(|| fields.maybe_text(&["endpoint_name"]));
    identity.display_name = name.unwrap_or_else(|| "Raspberry Pi Dev Endpoint".to_owned());
    if let Some(profile) = fields.maybe_text(&["transport_profile"]) {
        identity.transport_profile = profile;
    }
    if let Some(workspaces) = fields.maybe_texts(&["workspace_ids"]) {
        identity.workspace_ids = workspaces;
    }
    identity
}

fn allowed_pins(security: Fields<'_>, remarks: &mut Vec<String>) -> Vec<u8> {
    if security.value(&["gpio_allowed_pins"]).is_none() {
        return vec![17, 22, 27];
    }
    if !security.value(&["gpio_allowed_pins"]).is_some_and(Value::is_array) {
        remarks.push("`gpio_allowed_pins` is no list: no pin is allowed".to_owned());
    }
    let mut pins = Vec::new();
    for item in security.list(&["gpio_allowed_pins"]) {
        match int(item).and_then(|pin| u8::try_from(pin).ok()).filter(|&pin| pin <= MAX_PIN) {
            Some(pin) => pins.push(pin),
            None => remarks.push(format!("`security.gpio_allowed_pins`: {item} is no pin")),
        }
    }
    pins.sort_unstable();
    pins.dedup();
    pins
}

/// The commands that can be used, first of a name first; nothing while the shell is off.
fn templates(
    security: Fields<'_>,
    env: &impl Fn(&[&str]) -> Option<String>,
    remarks: &mut Vec<String>,
) -> Vec<Template> {
    let switch = env(&["MEETYOU_RPI_SAFE_SHELL_ENABLED"])
        .map(|value| matches!(value.to_ascii_lowercase().as_str(), "1" | "true" | "yes" | "on"));
    let switch = switch.or_else(|| security.flag(&["safe_shell_enabled"]));
    if switch.is_none() && security.value(&["safe_shell_enabled"]).is_some() {
        remarks.push("`safe_shell_enabled` is neither true nor false: commands stay off".to_owned());
    }
    if !switch.unwrap_or(false) {
        return Vec::new();
    }
    let mut templates: Vec<Template> = Vec::new();
    for item in security.list(&["safe_shell_allowlist"]) {
        match template(item) {
            Some(template) if templates.iter().all(|known| known.name != template.name) => {
                templates.push(template);
            }
            _ => remarks.push(format!("`security.safe_shell_allowlist`: {item} is left out")),
        }
    }
    templates
}

fn template(item: &Value) -> Option<Template> {
    let (name, argv, fields) = match item {
        Value::String(command) => {
            let argv = shell_words::split(command)?;
            (argv.first()?.clone(), argv, JsonMap::new())
        }
        Value::Object(object) => {
            let fields = Fields(object);
            let argv: Option<Vec<String>> = fields.list(&["argv"]).iter().map(text).collect();
            (fields.maybe_text(&["name"])?, argv?, object.clone())
        }
        _ => return None,
    };
    if argv.is_empty() {
        return None;
    }
    let fields = Fields(&fields);
    let timeout_seconds = fields.int(&["timeout_seconds"]).and_then(|seconds| u64::try_from(seconds).ok());
    Some(Template { name, argv, timeout_seconds, description: fields.text(&["description"]) })
}

fn number(fields: Fields<'_>, key: &str, default: u64, remarks: &mut Vec<String>) -> u64 {
    match fields.int(&[key]) {
        // Below nothing is nothing.
        Some(number) => u64::try_from(number).unwrap_or(0),
        None => {
            if fields.value(&[key]).is_some() {
                remarks.push(format!("`{key}` is no number: it stays at {default}"));
            }
            default
        }
    }
}

fn seconds(fields: Fields<'_>, key: &str, default: f64, least: f64, remarks: &mut Vec<String>) -> Duration {
    let given = fields.value(&[key]);
    let number = match given {
        Some(Value::Number(number)) => number.as_f64(),
        Some(Value::String(text)) => text.trim().parse().ok(),
        _ => None,
    };
    let number = number.filter(|number| number.is_finite());
    if number.is_none() && given.is_some() {
        remarks.push(format!("`{key}` is no number: it stays at {default}"));
    }
    Duration::from_secs_f64(number.unwrap_or(default).clamp(least, 3600.0))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(file: Value) -> Result<Config, ConfigError> {
        Config::parse(&file.to_string(), |_| None)
    }

    #[test]
    fn an_empty_file_has_the_defaults_of_its_ancestor() {
        let config = parse(json!({})).unwrap();

        assert_eq!(config.identity.endpoint_id, "rpi.raspberry-pi-dev.executor");
        assert_eq!(config.identity.workspace_ids, ["personal"]);
        assert_eq!((config.allowed_pins, config.default_write_ms), (vec![17, 22, 27], 500));
        assert_eq!((config.max_parallel_calls, config.max_timeout.as_secs()), (2, 300));
        assert!(config.shell.templates.is_empty() && config.remarks.is_empty());
    }

    #[test]
    fn a_file_of_meetyou_is_taken_as_it_is() {
        let config = parse(json!({
            "core_base_url": "http://core:8000",
            "endpoint_id": "kitchen",
            "endpoint_name": "Kitchen",
            "workspace_ids": ["personal", "home"],
            "max_parallel_calls": 9,
            "reconnect": { "initial_delay_seconds": 0.01, "max_delay_seconds": "12", "jitter_seconds": 1 },
            "keepalive": { "interval_seconds": 20, "timeout_seconds": 10 },
            "operation": { "default_timeout_seconds": 30, "max_timeout_seconds": 60 },
            "security": {
                "safe_shell_enabled": "yes",
                "safe_shell_allowlist": ["df -h", { "name": "up", "argv": ["uptime", "-p"] }, "df", 7],
                "gpio_allowed_pins": [5, "6", 99],
                "gpio_write_default_duration_ms": 70_000,
            },
            "devices": [{ "device_id": "lamp", "type": "relay", "pin": 5, "direction": "out", "active_high": false }],
        }))
        .unwrap();

        assert_eq!(config.identity.endpoint_id, "rpi.kitchen.executor");
        assert_eq!((config.max_parallel_calls, config.default_write_ms), (4, 60_000));
        assert_eq!((config.reconnect_initial.as_millis(), config.reconnect_max.as_secs()), (100, 12));
        assert_eq!(config.allowed_pins, [5, 6]);
        assert_eq!(config.off_levels(), BTreeMap::from([(5, true)]));
        let commands: Vec<String> =
            config.shell.templates.iter().map(|template| template.argv.join(" ")).collect();
        assert_eq!(commands, ["df -h", "uptime -p"]);
        assert_eq!(config.remarks.len(), 3, "{:?}", config.remarks);
    }

    #[test]
    fn the_environment_wins() {
        let env = |name: &str| {
            let value = match name {
                "MEETYOU_RPI_ENDPOINT_ID" => "attic",
                "MEETYOU_CORE_BASE_URL" => "http://other:1",
                "MEETYOU_RPI_SAFE_SHELL_ENABLED" => "0",
                _ => return None,
            };
            Some(value.to_owned())
        };
        let file = r#"{ "endpoint_id": "kitchen", "core_base_url": "http://core:1",
            "security": { "safe_shell_enabled": true, "safe_shell_allowlist": ["df"] } }"#;

        let config = Config::parse(file, env).unwrap();

        assert_eq!(config.identity.endpoint_id, "rpi.attic.executor");
        assert_eq!(config.core_base_url, "http://other:1");
        assert!(config.shell.templates.is_empty());
    }

    #[test]
    fn a_value_that_does_not_fit_is_named_and_left_out() {
        let config = parse(json!({
            "max_parallel_calls": "many",
            "reconnect": { "max_delay_seconds": [] },
            "security": { "safe_shell_enabled": "perhaps", "gpio_allowed_pins": 17 },
        }))
        .unwrap();

        assert_eq!((config.max_parallel_calls, config.reconnect_max.as_secs()), (2, 30));
        assert_eq!(config.allowed_pins, [0_u8; 0]);
        assert_eq!(
            config.remarks,
            [
                "`gpio_allowed_pins` is no list: no pin is allowed",
                "`max_parallel_calls` is no number: it stays at 2",
                "`max_delay_seconds` is no number: it stays at 30",
                "`safe_shell_enabled` is neither true nor false: commands stay off",
            ]
        );
    }

    #[test]
    fn a_file_that_cannot_be_read_has_a_code() {
        let code = |file: &str| Config::parse(file, |_| None).unwrap_err().code;

        assert_eq!(code("{"), "invalid_config_json");
        assert_eq!(code("[]"), "invalid_config_shape");
        assert_eq!(code(r#"{"devices": 1}"#), "invalid_devices_shape");
        assert_eq!(code(r#"{"endpont_id": 1}"#), "invalid_config_key");
    }
}
