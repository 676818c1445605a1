//! Who may call a route.

use crate::services::caller::{Role, Scope};

/// Who may call a route. The operator, from the daemon's own machine, may whatever is not a person's own affair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody who reaches the port.
    Open,
    /// A user who signed in, or a user's API key with this scope; the operator for everybody.
    User(Scope),
    /// A user who signed in: no API key opens what guards the account itself.
    Person,
    /// Anybody in an allow-listed network: the staff's door.
    StaffDoor,
    /// One of the staff, with one of these roles, in an allow-listed network; the operator.
    Staff(&'static [Role]),
    /// The operator only.
    Operator,
}

impl Access {
    /// A line for the table of routes.
    #[must_use]
    pub fn describe(self) -> String {
        match self {
            Self::Open => "open".to_owned(),
            Self::User(scope) => format!("user, key with {}", scope.as_str()),
            Self::Person => "signed-in user".to_owned(),
            Self::StaffDoor => "allow-listed network".to_owned(),
            Self::Staff(roles) => {
                let names: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
                format!("staff: {}", names.join(", "))
            }
            Self::Operator => "operator".to_owned(),
        }
    }

    /// Whether the route belongs to the staff, and so is answered in allow-listed networks only.
    #[must_use]
    pub const fn is_staff(self) -> bool {
        matches!(self, Self::StaffDoor | Self::Staff(_) | Self::Operator)
    }

    /// Whether a caller has to be known.
    #[must_use]
    pub const fn needs_credential(self) -> bool {
        !matches!(self, Self::Open | Self::StaffDoor)
    }
}
