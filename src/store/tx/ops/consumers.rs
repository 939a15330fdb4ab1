//! Named consumers of the log: how far each has come, moved in the commits that do its work.

use crate::error::{Error, Result};
use crate::id::Position;
use crate::limits::{CONSUMER_NAME_BYTES_MAX, Limit};
use crate::store::pending::check_max;
use crate::store::shared::{CONSUMERS_TABLE, position_in_row};
use crate::store::tx::{Step, Stepped, Transaction};

impl Transaction<'_> {
    /// Says that a consumer of the log has come up to `position`, which is that of a [`Tail`](crate::Tail::position) or
    /// [`Position::START`]; makes it if there is none of this name. So what it did and how far it came are one commit.
    /// From there on [`Store::compact`](crate::Store::compact) keeps the log whole, until the consumer moves on or is
    /// [removed](Transaction::remove_consumer). Positions only go forward; the one where it is already changes nothing.
    ///
    /// Moving on is a commit itself, which the tail gets like others. So move on with what was done, and pass over commits that
    /// ask for nothing: a consumer that moves on after each of them never comes to rest.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let store = kinlog::Store::open(dir.path())?;
    /// # store.transact(|tx| tx.put("orders", b"1", b"paid"))?;
    /// use kinlog::Position;
    ///
    /// let from = store.consumer("search")?.unwrap_or(Position::START);
    /// let mut tail = store.tail(from);
    /// while let Some(commit) = tail.try_next()? {
    ///     let orders = commit.rows().filter(|row| row.table == "orders").count();
    ///     if orders > 0 {
    ///         store.transact(|tx| {
    ///             tx.put("search", b"orders", &orders.to_le_bytes())?;
    ///             tx.advance_consumer("search", tail.position())
    ///         })?;
    ///     }
    /// }
    /// assert_eq!(store.consumers()?[0].name, "search");
    /// # Ok::<(), kinlog::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::ConsumerAhead`] if it has come further. [`Error::Compacted`] if the log is not whole from there on, or,
    /// for a new consumer, a compaction is at work there; a commit may say so, too. [`Error::InvalidArgument`] for a
    /// position at which no commit begins and the log does not end, or an empty name; [`Error::LimitExceeded`] for a name
    /// of more than 255 bytes. [`Error::Overtaken`], [`Error::Corrupt`] if the consumer's row cannot be read.
    pub fn advance_consumer(&mut self, name: &str, position: Position) -> Result<()> {
        check_name(name)?;
        self.step(|step| step.advance_consumer(name, position))
    }

    /// Removes a consumer: it holds nothing back any more. Does nothing if there is none of this name.
    ///
    /// # Errors
    /// As [`Transaction::advance_consumer`] for a name that is empty or too long.
    pub fn remove_consumer(&mut self, name: &str) -> Result<()> {
        check_name(name)?;
        self.put_row(CONSUMERS_TABLE, name.as_bytes(), None)
    }
}

impl Step<'_> {
    fn advance_consumer(&mut self, name: &str, asked: Position) -> Stepped<()> {
        let at = self.row(CONSUMERS_TABLE, name.as_bytes())?;
        match at.as_deref().map(position_in_row) {
            Some(position) if position > asked => {
                let consumer = name.to_owned();
                return Err(Error::ConsumerAhead { consumer, position, asked }.into());
            }
            Some(position) if position == asked => return Ok(()),
            _ => {}
        }
        self.check_consumable(asked)?;
        if at.is_none() {
            self.work.new_consumers.push(asked);
        }
        let value = asked.as_u64().to_le_bytes();
        self.work.put_row(CONSUMERS_TABLE, name.as_bytes(), Some(&value));
        Ok(())
    }

    /// Checks that a tail can go on at a position.
    fn check_consumable(&self, position: Position) -> Result<()> {
        let view = self.published.view();
        let next = view.frames(position).next().transpose();
        match next {
            Ok(_) if position <= view.end => Ok(()),
            // What was damaged there, the tail says.
            Ok(_) | Err(Error::Corrupt(_)) => Err(Error::invalid(
                "no commit begins at the position, nor does the log end there: take that of a tail",
            )),
            Err(error) => Err(error),
        }
    }
}

fn check_name(name: &str) -> Result<()> {
    if name.is_empty() {
        return Err(Error::invalid("the name of a consumer is empty"));
    }
    check_max(Limit::KeyBytes, name.len(), CONSUMER_NAME_BYTES_MAX)
}
