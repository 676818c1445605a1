//! Shorthands for what nearly every table needs.

use sea_orm_migration::prelude::*;

/// A primary key over several columns.
pub(crate) fn primary_key(columns: &[&'static str]) -> IndexCreateStatement {
    let mut key = Index::create();
    for column in columns {
        key.col(*column);
    }
    key.take()
}

/// An index over columns; its name is made of the table and the columns.
pub(crate) fn index(table: &'static str, columns: &[&'static str]) -> IndexCreateStatement {
    let mut index = primary_key(columns);
    index.name(format!("ix_{table}_{}", columns.join("_"))).table(table);
    index
}

/// A unique index over columns.
pub(crate) fn unique(table: &'static str, columns: &[&'static str]) -> IndexCreateStatement {
    let mut index = primary_key(columns);
    index.unique().name(format!("uq_{table}_{}", columns.join("_"))).table(table);
    index
}

/// A reference whose row goes with the row it points to.
pub(crate) fn cascade(
    table: &'static str,
    column: &'static str,
    to_table: &'static str,
    to_column: &'static str,
) -> ForeignKeyCreateStatement {
    ForeignKey::create()
        .name(format!("fk_{table}_{column}"))
        .from(table, column)
        .to(to_table, to_column)
        .on_delete(ForeignKeyAction::Cascade)
        .take()
}
