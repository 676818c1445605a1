//! Letters: written as files into a folder, until a mail server can be named.

mod folder;

pub use folder::FolderMailer;
