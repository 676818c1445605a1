//! Switchyard: forwards messages between Telegram and Discord under supervision.
