//! The supervision runtime and the domain of Switchyard.
