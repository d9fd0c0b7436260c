//! Who started a piece of work: what is allowed to the owner may be too much for a stranger.

use crate::{ActorId, word_enum};

word_enum!(
    /// Who started the work that a plugin does.
    pub enum Origin {
        /// The owner, who can be asked.
        User = "user",
        /// The host itself: a schedule, or the upkeep of a channel.
        Schedule = "schedule",
        /// Somebody in a channel whom the owner need not know.
        Stranger = "stranger",
    }
);

impl Origin {
    /// Reads it from the actor on whose behalf the work is: whoever is neither user nor system is a stranger.
    pub fn of(actor: &ActorId) -> Self {
        let name = actor.as_str();
        if name.starts_with("user:") {
            Self::User
        } else if name.starts_with("system.") || name.starts_with("system:") {
            Self::Schedule
        } else {
            Self::Stranger
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_taken_for_the_owner_by_a_name_of_his_own_choice() {
        for (actor, origin) in [
            ("user:self", Origin::User),
            ("system.scheduler", Origin::Schedule),
            ("system:host", Origin::Schedule),
            ("feishu:user:self", Origin::Stranger),
            ("systematic", Origin::Stranger),
            ("users:me", Origin::Stranger),
        ] {
            assert_eq!(Origin::of(&ActorId::fixed(actor)), origin, "{actor}");
        }
    }
}
