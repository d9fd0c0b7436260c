//! Channels: surfaces where people are, such as a chat service.
//!
//! A channel is a type with the functions of [`Channel`], exported with [`export_channel!`](crate::export_channel). The
//! host calls it when a web address, a timer, a poll or a socket has something to say, and when there is something to send;
//! in between nothing of it need be running. What people write goes to the host with [`inbound::message`].
//!
//! On a target that is not WebAssembly there is no host to bring anything to: test the parts that take and give values.

#[doc(hidden)]
#[allow(unsafe_code, missing_docs, reason = "generated: values cross to the host as raw memory")]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../wit",
        world: "channel-plugin",
        pub_export_macro: true,
        default_bindings_module: "berth_plugin::channel::bindings",
        runtime_path: "wit_bindgen::rt",
        with: { "berth:plugin/types@0.1.0": crate::bindings::berth::plugin::types },
    });
}

/// What a channel hands over to the host. Needs the grant `channel`.
pub use bindings::berth::plugin::inbound;
/// Sockets that the host keeps. Needs the grant `websocket` for the address.
pub use bindings::berth::plugin::websocket;

pub use bindings::berth::plugin::delivery_types::{Address, Delivery, Part, PartOutcome, SentPart};
/// What a channel is.
pub use bindings::exports::berth::plugin::channel::Guest as Channel;
pub use bindings::exports::berth::plugin::channel::{
    ApprovalAnswer, Binding, Description, Event, Frame, HookPath, Occurrence, PollAnswer, PollWish, Reach,
    SocketState, SocketWish, TimerWish, WebhookRequest, WebhookResponse, WebhookWish, Wishes,
};

/// Exports a [`Channel`](crate::channel::Channel): `export_channel!(Feishu)`.
#[macro_export]
macro_rules! export_channel {
    ($channel:ident) => {
        #[allow(unsafe_code, reason = "generated")]
        const _: () = {
            #[cfg(target_family = "wasm")]
    $crate::channel::bindings::export!($channel with_types_in $crate::channel::bindings);

            // A native build exports nothing, and still checks that every function is there.
            #[cfg(not(target_family = "wasm"))]
            const fn implements<T: $crate::channel::Channel>() {}
            #[cfg(not(target_family = "wasm"))]
            implements::<$channel>();
        };
    };
}
