//! Ids are types: parsed once at the edge, passed as themselves inside.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

/// Why a text is no id of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    #[error("`{text}` is no {kind} id: it must be `{prefix}_` and 32 hex digits")]
    Shape { kind: &'static str, prefix: &'static str, text: String },
    #[error("a {kind} id must have 1 to {max} characters, and no control characters")]
    Name { kind: &'static str, max: usize },
}

/// Declares an id of the form `<prefix>_<32 hex digits>`.
macro_rules! id_type {
    ($(#[$meta:meta])* $name:ident, $prefix:literal) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Uuid);

        impl $name {
            /// The word before the underscore.
            pub const PREFIX: &'static str = $prefix;

            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "_{}"), self.0.simple())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                text.strip_prefix(concat!($prefix, "_"))
                    .filter(|hex| hex.len() == 32)
                    .and_then(|hex| Uuid::try_parse(hex).ok())
                    .map(Self)
                    .ok_or_else(|| IdError::Shape {
                        kind: stringify!($name),
                        prefix: $prefix,
                        text: text.chars().take(80).collect(),
                    })
            }
        }
    };
}

/// Declares an id that somebody else chooses: free text of 1 to `max` characters.
macro_rules! name_type {
    ($(#[$meta:meta])* $name:ident, $max:literal) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(std::sync::Arc<str>);

        impl $name {
            /// The longest text, in characters.
            pub const MAX_CHARS: usize = $max;

            /// Trims `text` and checks its length.
            pub fn new(text: impl AsRef<str>) -> Result<Self, IdError> {
                let text = text.as_ref().trim();
                let fits = !text.is_empty() && text.chars().count() <= $max && !text.chars().any(char::is_control);
                if fits { Ok(Self(text.into())) } else { Err(IdError::Name { kind: stringify!($name), max: $max }) }
            }

            /// For names that this program itself spells out.
            ///
            /// # Panics
            /// When the name does not fit; a test of the caller shows that it does.
            pub fn fixed(text: &'static str) -> Self {
                match Self::new(text) {
                    Ok(name) => name,
                    Err(error) => panic!("{error}: `{text}`"),
                }
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}

id_type!(/// Names a thread.
    ThreadId, "thr");
id_type!(/// Names a message.
    MessageId, "msg");
id_type!(/// Names a session: one endpoint's attachment to one thread.
    SessionId, "sess");
id_type!(/// Names a run.
    RunId, "run");
id_type!(/// Names a run event.
    EventId, "evt");
id_type!(/// Names an operation.
    OperationId, "op");
id_type!(/// Names one attempt of an operation at its target.
    CallId, "call");
id_type!(/// Names an approval.
    ApprovalId, "approval");
id_type!(/// Names a connection of an endpoint.
    ConnectionId, "conn");
id_type!(/// Names a delivery; minted once and kept through retries.
    DeliveryId, "delivery");
id_type!(/// Names a row of the outbox.
    OutboxId, "outbox");
id_type!(/// Names a grant.
    GrantId, "grant");
id_type!(/// Names a row of the audit.
    AuditId, "audit");

name_type!(/// Names a workspace; immutable slug.
    WorkspaceId, 128);
name_type!(/// Names an endpoint; chosen by its provider.
    EndpointId, 255);
name_type!(/// Names an address inside a provider.
    AddressId, 255);
name_type!(/// Names an actor, such as `user:self`.
    ActorId, 128);
name_type!(/// Names a plugin.
    PluginId, 64);
name_type!(/// The name under which a model calls a tool.
    ToolName, 128);
name_type!(/// The routing key of a capability at its target.
    ToolKey, 255);
name_type!(/// Names the binding of an external conversation to a thread.
    BindingId, 128);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_of_another_kind_is_refused_with_the_prefix_it_must_have() {
        let error = "run_3f2c9a7e5b1d4c8f9e0a6b7c8d9e0f1a".parse::<ThreadId>().unwrap_err();

        assert_eq!(
            error.to_string(),
            "`run_3f2c9a7e5b1d4c8f9e0a6b7c8d9e0f1a` is no ThreadId id: it must be `thr_` and 32 hex digits"
        );
    }

    #[test]
    fn an_id_prints_as_it_was_parsed() {
        let text = "thr_3f2c9a7e5b1d4c8f9e0a6b7c8d9e0f1a";

        assert_eq!(text.parse::<ThreadId>().unwrap().to_string(), text);
    }

    #[test]
    fn hyphens_and_short_texts_are_no_ids() {
        for text in [
            "",
            "thr_",
            "thr_1",
            "thr_3f2c9a7e-5b1d-4c8f-9e0a-6b7c8d9e0f1a",
            "3f2c9a7e5b1d4c8f9e0a6b7c8d9e0f1a",
        ] {
            assert!(text.parse::<ThreadId>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_chosen_name_is_trimmed_and_bounded() {
        assert_eq!(EndpointId::new("  a.b ").unwrap().as_str(), "a.b");
        assert!(EndpointId::new(" ").is_err());
        assert!(EndpointId::new("x".repeat(256)).is_err());
        assert!(EndpointId::new("a\nb").is_err());
    }
}
