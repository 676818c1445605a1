//! Automatic shutdown: a branch that ends with its significant children (OTP's `auto_shutdown`).

use super::{Action, After, AutoShutdown, Core, EndHow, Key, slot::Status};

impl Core {
    /// A significant child ended by itself for good: the branch may end with it.
    pub(super) fn significant_ended(&mut self, key: Key, actions: &mut Vec<Action>) {
        let ends = match self.policy.auto_shutdown {
            AutoShutdown::Never => false,
            AutoShutdown::AnySignificant => true,
            AutoShutdown::AllSignificant => !self
                .slots
                .iter()
                .any(|(other, slot)| *other != key && slot.policy.significant && slot.is_there()),
        };
        if ends {
            // A branch that is started again begins with all of them.
            for slot in self.slots.values_mut() {
                if slot.policy.significant && slot.status == Status::Resting {
                    slot.status = Status::Held;
                }
            }
            self.end(EndHow::Halt, None, After::Finish, actions);
        }
    }
}
