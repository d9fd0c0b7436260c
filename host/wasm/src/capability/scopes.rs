//! What stands in the scope of each capability: for the reference of authors, and checked against what refuses a scope.

use super::Capability;

/// A key of a scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    pub name: &'static str,
    /// Whether it stands in a grant of the operator alone.
    pub is_of_grants: bool,
    pub about: &'static str,
}

const fn key(name: &'static str, about: &'static str) -> Key {
    Key { name, is_of_grants: false, about }
}

const fn of_grants(name: &'static str, about: &'static str) -> Key {
    Key { name, is_of_grants: true, about }
}

/// The keys of the scope of a capability; none has an empty scope.
pub fn keys(capability: Capability) -> &'static [Key] {
    match capability {
        Capability::Files => {
            const KEYS: [Key; 3] = [
                key("guest", "the path in the plugin, such as `/notes`"),
                key("access", "`ro`, the default, or `rw`"),
                of_grants("host", "the folder of this machine"),
            ];
            &KEYS
        }
        Capability::Http => {
            const KEYS: [Key; 4] = [
                key("hosts", "origins such as `https://api.example.com`; `*.` may be the first label"),
                key("paths", "prefixes of paths; every path when absent"),
                key("methods", "such as `GET`; every method when absent"),
                of_grants("addresses", "addresses off the public internet that may be dialled"),
            ];
            &KEYS
        }
        Capability::Websocket => {
            const KEYS: [Key; 3] = [
                key("hosts", "origins such as `wss://open.example.com`"),
                key("paths", "prefixes of paths; every path when absent"),
                of_grants("addresses", "addresses off the public internet that may be dialled"),
            ];
            &KEYS
        }
        Capability::Secret => {
            const KEYS: [Key; 4] = [
                key("id", "the name of the secret"),
                key("audience", "the origins that it may be sent to"),
                key(
                    "place",
                    "where in a request: `header:NAME`, `query:NAME`, `path`, `json:/POINTER`, `form:NAME`",
                ),
                key("operations", "what may be done with it here, such as `hmac-sha256`"),
            ];
            &KEYS
        }
        Capability::Process => {
            const KEYS: [Key; 2] = [
                key("programs", "ids of the operator's policy of commands"),
                key("folders", "granted folders that a program may work in"),
            ];
            &KEYS
        }
        Capability::Endpoint => {
            const KEYS: [Key; 2] = [
                key("tools", "keys of tools of endpoints; `rpi.gpio.*` is all below"),
                key("endpoints", "ids of endpoints; every one when absent"),
            ];
            &KEYS
        }
        Capability::Keyvalue => {
            const KEYS: [Key; 2] = [
                key("store", "the name of a bucket; every one when absent"),
                key("access", "`ro`, or `rw`, the default"),
            ];
            &KEYS
        }
        Capability::Channel => {
            const KEYS: [Key; 2] = [
                key("hooks", "names of web addresses; every one that is wished when absent"),
                of_grants("open", "those that need no token in their path"),
            ];
            &KEYS
        }
        Capability::Config | Capability::Approval => &[],
    }
}
