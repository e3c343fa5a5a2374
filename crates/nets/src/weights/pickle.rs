//! Enough of Python's pickle (protocols 2 to 5) to read tensors, and no more: a machine that builds lists, dictionaries and tensors, calls
//! nothing, and refuses every name that tensors do not need. A hostile file can make it stop, not act.
//!
//! Source: `Lib/pickletools.py` of CPython for the opcodes, `torch/_weights_only_unpickler.py` for what tensors need.

use super::tensors::Dtype;
use cupola_task::{Error, Result};
use std::collections::BTreeMap;

/// More values than any list of weights has; a checkpoint has about 30 a tensor.
const VALUES_MAX: usize = 1 << 20;

/// A value's place in [`Pickle::values`].
pub(super) type Id = usize;

/// What a pickle builds.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Value {
    /// None, a flag, a real number, bytes: nothing that a tensor is made of.
    Other,
    Integer(i64),
    Text(String),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Global(&'static Known),
    Storage {
        dtype: Dtype,
        key: String,
    },
    Tensor {
        dtype: Dtype,
        key: String,
        offset: usize,
        shape: Vec<usize>,
        strides: Vec<usize>,
    },
}

/// A name that tensors need.
#[derive(PartialEq, Debug)]
pub(super) struct Known {
    name: &'static str,
    does: Does,
}

/// What a call of the name stands for.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Does {
    Dict,
    Tensor,
    Parameter,
    Tuple,
    Stores(Dtype),
}

const KNOWN: &[Known] = &[
    Known { name: "collections.OrderedDict", does: Does::Dict },
    Known { name: "torch._utils._rebuild_tensor_v2", does: Does::Tensor },
    Known { name: "torch._utils._rebuild_parameter", does: Does::Parameter },
    Known { name: "torch.nn.parameter.Parameter", does: Does::Parameter },
    Known { name: "torch.Size", does: Does::Tuple },
    Known { name: "torch.HalfStorage", does: Does::Stores(Dtype::F16) },
    Known { name: "torch.BFloat16Storage", does: Does::Stores(Dtype::BF16) },
    Known { name: "torch.FloatStorage", does: Does::Stores(Dtype::F32) },
    Known { name: "torch.DoubleStorage", does: Does::Stores(Dtype::F64) },
    Known { name: "torch.CharStorage", does: Does::Stores(Dtype::I8) },
    Known { name: "torch.ByteStorage", does: Does::Stores(Dtype::U8) },
    Known { name: "torch.ShortStorage", does: Does::Stores(Dtype::I16) },
    Known { name: "torch.IntStorage", does: Does::Stores(Dtype::I32) },
    Known { name: "torch.LongStorage", does: Does::Stores(Dtype::I64) },
    Known { name: "torch.BoolStorage", does: Does::Stores(Dtype::Bool) },
];

/// All values of a pickle, and which is the whole.
#[derive(Debug)]
pub(super) struct Pickle {
    pub values: Vec<Value>,
    pub root: Id,
}

/// Reads a pickle.
///
/// # Errors
/// When it is torn, names something that tensors do not need, or has an opcode or more values than they need.
pub(super) fn read(place: &str, bytes: &[u8]) -> Result<Pickle> {
    let mut machine = Machine { place, bytes, at: 0, values: Vec::new(), stack: Vec::new(), marks: Vec::new(), memo: BTreeMap::new() };
    loop {
        if let Some(root) = machine.step()? {
            return Ok(Pickle { values: machine.values, root });
        }
    }
}

struct Machine<'a> {
    place: &'a str,
    bytes: &'a [u8],
    at: usize,
    values: Vec<Value>,
    stack: Vec<Id>,
    /// Heights of the stack at which a list of values begins.
    marks: Vec<usize>,
    memo: BTreeMap<u64, Id>,
}

impl<'a> Machine<'a> {
    /// One opcode; the whole value at the last one.
    fn step(&mut self) -> Result<Option<Id>> {
        let opcode = self.take(1)?[0];
        match opcode {
            0x80 => drop(self.take(1)?),                                                 // PROTO
            0x95 => drop(self.take(8)?),                                                 // FRAME
            b'.' => return self.pop().map(Some),                                         // STOP
            b'N' | 0x88 | 0x89 => self.push(Value::Other)?,                              // NONE, NEWTRUE, NEWFALSE
            b'G' => self.skip_then_push(8)?,                                             // BINFLOAT
            b'K' => self.integer(1)?,                                                    // BININT1
            b'M' => self.integer(2)?,                                                    // BININT2
            b'J' => self.signed(4)?,                                                     // BININT
            0x8a => self.long()?,                                                        // LONG1
            b'X' => self.text(4)?,                                                       // BINUNICODE
            0x8c => self.text(1)?,                                                       // SHORT_BINUNICODE
            0x8d => self.text(8)?,                                                       // BINUNICODE8
            b'U' => self.text(1)?,                                                       // SHORT_BINSTRING
            b'C' => self.blob(1)?,                                                       // SHORT_BINBYTES
            b'B' => self.blob(4)?,                                                       // BINBYTES
            b')' => self.push(Value::Tuple(Vec::new()))?,                                // EMPTY_TUPLE
            b']' => self.push(Value::List(Vec::new()))?,                                 // EMPTY_LIST
            b'}' => self.push(Value::Dict(Vec::new()))?,                                 // EMPTY_DICT
            b'(' => self.mark()?,                                                        // MARK
            b't' => self.since_mark().and_then(|items| self.push(Value::Tuple(items)))?, // TUPLE
            0x85..=0x87 => self.short_tuple(usize::from(opcode - 0x84))?,                // TUPLE1, TUPLE2, TUPLE3
            b'0' => drop(self.pop()?),                                                   // POP
            b'q' => self.put(1)?,                                                        // BINPUT
            b'r' => self.put(4)?,                                                        // LONG_BINPUT
            0x94 => self.memoize()?,                                                     // MEMOIZE
            b'h' => self.again(1)?,                                                      // BINGET
            b'j' => self.again(4)?,                                                      // LONG_BINGET
            b'a' => self.append_one()?,                                                  // APPEND
            b'e' => self.append()?,                                                      // APPENDS
            b's' => self.set_item()?,                                                    // SETITEM
            b'u' => self.set_items()?,                                                   // SETITEMS
            b'c' => self.global()?,                                                      // GLOBAL
            0x93 => self.stack_global()?,                                                // STACK_GLOBAL
            b'Q' => self.storage()?,                                                     // BINPERSID
            b'R' => self.call()?,                                                        // REDUCE
            b'b' => self.build()?,                                                       // BUILD
            _ => return Err(self.refuse(format!("opcode {opcode:#04x}"))),
        }
        Ok(None)
    }

    fn error(&self, found: impl ToString, wanted: &str) -> Error {
        Error::input(format!("{} at byte {}", self.place, self.at), found.to_string(), wanted)
    }

    fn torn(&self) -> Error {
        self.error("a torn or foreign pickle", "tensors as PyTorch saves them")
    }

    fn refuse(&self, found: String) -> Error {
        let hint = "files are read without running what is in them; save the weights alone: torch.save(model.state_dict(), path)";
        self.error(found, "tensors in dictionaries").with_hint(hint)
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let taken = self.bytes.get(self.at..).and_then(|rest| rest.get(..count)).ok_or_else(|| self.torn())?;
        self.at += count;
        Ok(taken)
    }

    fn unsigned(&mut self, bytes: usize) -> Result<u64> {
        Ok(self.take(bytes)?.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    fn line(&mut self) -> Result<&'a str> {
        let rest = &self.bytes[self.at..];
        let len = rest.iter().position(|&byte| byte == b'\n').ok_or_else(|| self.torn())?;
        let line = self.take(len + 1)?;
        std::str::from_utf8(&line[..len]).map_err(|_| self.torn())
    }

    fn push(&mut self, value: Value) -> Result<()> {
        self.values.push(value);
        self.push_id(self.values.len() - 1)
    }

    fn push_id(&mut self, id: Id) -> Result<()> {
        if self.values.len() > VALUES_MAX || self.stack.len() > VALUES_MAX {
            return Err(self.error(format!("more than {VALUES_MAX} values"), "a list of weights"));
        }
        self.stack.push(id);
        Ok(())
    }

    fn pop(&mut self) -> Result<Id> {
        // What lies below a mark belongs to a list that is still open.
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= floor {
            return Err(self.torn());
        }
        self.stack.pop().ok_or_else(|| self.torn())
    }

    fn top(&self) -> Result<Id> {
        self.stack.last().copied().ok_or_else(|| self.torn())
    }

    fn mark(&mut self) -> Result<()> {
        if self.marks.len() > VALUES_MAX {
            return Err(self.torn());
        }
        self.marks.push(self.stack.len());
        Ok(())
    }

    fn since_mark(&mut self) -> Result<Vec<Id>> {
        let mark = self.marks.pop().ok_or_else(|| self.torn())?;
        if mark > self.stack.len() {
            return Err(self.torn());
        }
        Ok(self.stack.split_off(mark))
    }

    fn skip_then_push(&mut self, bytes: usize) -> Result<()> {
        self.take(bytes)?;
        self.push(Value::Other)
    }

    fn integer(&mut self, bytes: usize) -> Result<()> {
        let number = self.unsigned(bytes)?;
        self.push(Value::Integer(number as i64))
    }

    fn signed(&mut self, bytes: usize) -> Result<()> {
        let number = self.unsigned(bytes)?;
        let unused = 64 - 8 * bytes as u32;
        self.push(Value::Integer((number << unused) as i64 >> unused))
    }

    fn long(&mut self) -> Result<()> {
        match self.unsigned(1)? {
            0 => self.push(Value::Integer(0)),
            bytes @ 1..=8 => self.signed(bytes as usize),
            bytes => self.skip_then_push(bytes as usize),
        }
    }

    fn text(&mut self, length_bytes: usize) -> Result<()> {
        let len = usize::try_from(self.unsigned(length_bytes)?).map_err(|_| self.torn())?;
        let text = self.take(len)?;
        let text = std::str::from_utf8(text).map_err(|_| self.torn())?;
        self.push(Value::Text(text.to_owned()))
    }

    fn blob(&mut self, length_bytes: usize) -> Result<()> {
        let len = usize::try_from(self.unsigned(length_bytes)?).map_err(|_| self.torn())?;
        self.skip_then_push(len)
    }

    fn short_tuple(&mut self, len: usize) -> Result<()> {
        let mut items = Vec::with_capacity(len);
        for _ in 0..len {
            items.push(self.pop()?);
        }
        items.reverse();
        self.push(Value::Tuple(items))
    }

    fn put(&mut self, bytes: usize) -> Result<()> {
        let (key, id) = (self.unsigned(bytes)?, self.top()?);
        self.memo.insert(key, id);
        Ok(())
    }

    fn memoize(&mut self) -> Result<()> {
        let id = self.top()?;
        self.memo.insert(self.memo.len() as u64, id);
        Ok(())
    }

    fn again(&mut self, bytes: usize) -> Result<()> {
        let key = self.unsigned(bytes)?;
        let id = self.memo.get(&key).copied().ok_or_else(|| self.torn())?;
        self.push_id(id)
    }

    fn append_one(&mut self) -> Result<()> {
        let item = self.pop()?;
        self.extend_list(vec![item])
    }

    fn append(&mut self) -> Result<()> {
        let items = self.since_mark()?;
        self.extend_list(items)
    }

    fn extend_list(&mut self, items: Vec<Id>) -> Result<()> {
        let list = self.top()?;
        match &mut self.values[list] {
            Value::List(list) => list.extend(items),
            _ => return Err(self.torn()),
        }
        Ok(())
    }

    fn set_item(&mut self) -> Result<()> {
        let (value, key) = (self.pop()?, self.pop()?);
        self.extend_dict(vec![key, value])
    }

    fn set_items(&mut self) -> Result<()> {
        let items = self.since_mark()?;
        self.extend_dict(items)
    }

    fn extend_dict(&mut self, items: Vec<Id>) -> Result<()> {
        let dict = self.top()?;
        match &mut self.values[dict] {
            Value::Dict(dict) if items.len().is_multiple_of(2) => dict.extend(items.chunks_exact(2).map(|pair| (pair[0], pair[1]))),
            _ => return Err(self.torn()),
        }
        Ok(())
    }

    fn global(&mut self) -> Result<()> {
        let name = format!("{}.{}", self.line()?, self.line()?);
        self.push_global(&name)
    }

    fn stack_global(&mut self) -> Result<()> {
        let (name, module) = (self.pop()?, self.pop()?);
        let (Value::Text(module), Value::Text(name)) = (&self.values[module], &self.values[name]) else { return Err(self.torn()) };
        let name = format!("{module}.{name}");
        self.push_global(&name)
    }

    fn push_global(&mut self, name: &str) -> Result<()> {
        let known = KNOWN.iter().find(|known| known.name == name);
        let known = known.ok_or_else(|| self.refuse(format!("the name {}", name.chars().take(80).collect::<String>())))?;
        self.push(Value::Global(known))
    }

    /// ("storage", type, key, device, length)
    fn storage(&mut self) -> Result<()> {
        let id = self.pop()?;
        let Value::Tuple(items) = &self.values[id] else { return Err(self.torn()) };
        let &[_, kind, key, ..] = &items[..] else { return Err(self.torn()) };
        let (Value::Global(Known { does: Does::Stores(dtype), .. }), Value::Text(key)) = (&self.values[kind], &self.values[key]) else {
            return Err(self.torn());
        };
        self.push(Value::Storage { dtype: *dtype, key: key.clone() })
    }

    fn call(&mut self) -> Result<()> {
        let (arguments, function) = (self.pop()?, self.pop()?);
        let (Value::Tuple(arguments), Value::Global(known)) = (&self.values[arguments], &self.values[function]) else {
            return Err(self.torn());
        };
        let arguments = arguments.clone();
        match (known.does, &arguments[..]) {
            // An ordered dictionary is made empty, or of a list of pairs as Python 2 did.
            (Does::Dict, []) => self.push(Value::Dict(Vec::new())),
            (Does::Tuple, [items]) => self.push_id(*items),
            (Does::Parameter, [tensor, ..]) => self.push_id(*tensor),
            (Does::Tensor, &[storage, offset, shape, strides, ..]) => self.tensor(storage, offset, shape, strides),
            _ => Err(self.refuse(format!("an unusual call of {}", known.name))),
        }
    }

    fn tensor(&mut self, storage: Id, offset: Id, shape: Id, strides: Id) -> Result<()> {
        let Value::Storage { dtype, key } = self.values[storage].clone() else { return Err(self.torn()) };
        let offset = self.size(offset)?;
        let (shape, strides) = (self.sizes(shape)?, self.sizes(strides)?);
        self.push(Value::Tensor { dtype, key, offset, shape, strides })
    }

    fn size(&self, id: Id) -> Result<usize> {
        match self.values[id] {
            Value::Integer(number) => usize::try_from(number).map_err(|_| self.torn()),
            _ => Err(self.torn()),
        }
    }

    fn sizes(&self, id: Id) -> Result<Vec<usize>> {
        match &self.values[id] {
            Value::Tuple(items) if items.len() <= 16 => items.iter().map(|&item| self.size(item)).collect(),
            _ => Err(self.torn()),
        }
    }

    /// Attributes of a dictionary, such as the versions that PyTorch keeps of its modules, are no weights.
    fn build(&mut self) -> Result<()> {
        self.pop()?;
        let target = self.top()?;
        match self.values[target] {
            Value::Dict(_) | Value::Tensor { .. } => Ok(()),
            _ => Err(self.refuse("an object with attributes".into())),
        }
    }
}
