//! The part of ONNX's protobuf schema (onnx.proto3, IR version 8) that an exported model has, under
//! its names and field numbers. A reader skips fields it does not know, so files of others decode too.

#![expect(missing_docs, reason = "onnx.proto3 says what each is")]

use crate::graph::{OnnxAttribute, OnnxConstant, OnnxOperator, OnnxValue};
use prost::Message;

#[derive(Clone, PartialEq, Message)]
pub struct ModelProto {
    #[prost(int64, tag = "1")]
    pub ir_version: i64,
    #[prost(string, tag = "2")]
    pub producer_name: String,
    #[prost(string, tag = "3")]
    pub producer_version: String,
    #[prost(message, optional, tag = "7")]
    pub graph: Option<GraphProto>,
    #[prost(message, repeated, tag = "8")]
    pub opset_import: Vec<OperatorSetIdProto>,
    #[prost(message, repeated, tag = "14")]
    pub metadata_props: Vec<StringStringEntryProto>,
}

#[derive(Clone, PartialEq, Message)]
pub struct OperatorSetIdProto {
    #[prost(string, tag = "1")]
    pub domain: String,
    #[prost(int64, tag = "2")]
    pub version: i64,
}

#[derive(Clone, PartialEq, Message)]
pub struct StringStringEntryProto {
    #[prost(string, tag = "1")]
    pub key: String,
    #[prost(string, tag = "2")]
    pub value: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct GraphProto {
    #[prost(message, repeated, tag = "1")]
    pub node: Vec<NodeProto>,
    #[prost(string, tag = "2")]
    pub name: String,
    #[prost(message, repeated, tag = "5")]
    pub initializer: Vec<TensorProto>,
    #[prost(message, repeated, tag = "11")]
    pub input: Vec<ValueInfoProto>,
    #[prost(message, repeated, tag = "12")]
    pub output: Vec<ValueInfoProto>,
}

#[derive(Clone, PartialEq, Message)]
pub struct NodeProto {
    #[prost(string, repeated, tag = "1")]
    pub input: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    pub output: Vec<String>,
    #[prost(string, tag = "3")]
    pub name: String,
    #[prost(string, tag = "4")]
    pub op_type: String,
    #[prost(message, repeated, tag = "5")]
    pub attribute: Vec<AttributeProto>,
}

/// One value; `r#type` says which. The values are optional so that a zero is written too.
#[derive(Clone, PartialEq, Message)]
pub struct AttributeProto {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(float, optional, tag = "2")]
    pub f: Option<f32>,
    #[prost(int64, optional, tag = "3")]
    pub i: Option<i64>,
    #[prost(bytes = "vec", optional, tag = "4")]
    pub s: Option<Vec<u8>>,
    #[prost(int64, repeated, tag = "8")]
    pub ints: Vec<i64>,
    #[prost(int32, tag = "20")]
    pub r#type: i32,
}

#[derive(Clone, PartialEq, Message)]
pub struct TensorProto {
    #[prost(int64, repeated, tag = "1")]
    pub dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    pub data_type: i32,
    #[prost(string, tag = "8")]
    pub name: String,
    /// Little-endian elements.
    #[prost(bytes = "vec", tag = "9")]
    pub raw_data: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub struct ValueInfoProto {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(message, optional, tag = "2")]
    pub r#type: Option<TypeProto>,
}

#[derive(Clone, PartialEq, Message)]
pub struct TypeProto {
    #[prost(message, optional, tag = "1")]
    pub tensor_type: Option<TensorTypeProto>,
}

#[derive(Clone, PartialEq, Message)]
pub struct TensorTypeProto {
    #[prost(int32, tag = "1")]
    pub elem_type: i32,
    #[prost(message, optional, tag = "2")]
    pub shape: Option<TensorShapeProto>,
}

#[derive(Clone, PartialEq, Message)]
pub struct TensorShapeProto {
    #[prost(message, repeated, tag = "1")]
    pub dim: Vec<DimensionProto>,
}

/// A size, or the name of one that is known at run time only.
#[derive(Clone, PartialEq, Message)]
pub struct DimensionProto {
    #[prost(int64, optional, tag = "1")]
    pub dim_value: Option<i64>,
    #[prost(string, optional, tag = "2")]
    pub dim_param: Option<String>,
}

/// `TensorProto.DataType`.
pub const FLOAT: i32 = 1;
pub const INT64: i32 = 7;

impl From<OnnxOperator> for NodeProto {
    fn from(operator: OnnxOperator) -> Self {
        NodeProto {
            input: operator.inputs,
            output: vec![operator.output],
            name: operator.name,
            op_type: operator.kind.to_owned(),
            attribute: operator.attributes.into_iter().map(AttributeProto::from).collect(),
        }
    }
}

impl From<OnnxAttribute> for AttributeProto {
    fn from(OnnxAttribute { name, value }: OnnxAttribute) -> Self {
        let named = AttributeProto { name: name.to_owned(), ..AttributeProto::default() };
        match value {
            OnnxValue::Float(f) => AttributeProto { f: Some(f), r#type: 1, ..named },
            OnnxValue::Int(i) => AttributeProto { i: Some(i), r#type: 2, ..named },
            OnnxValue::Text(text) => AttributeProto { s: Some(text.into()), r#type: 3, ..named },
            OnnxValue::Ints(ints) => AttributeProto { ints, r#type: 7, ..named },
        }
    }
}

impl TensorProto {
    pub fn floats(name: &str, dims: &[usize], data: &[f32]) -> Self {
        TensorProto {
            dims: dims.iter().map(|&size| size as i64).collect(),
            data_type: FLOAT,
            name: name.to_owned(),
            raw_data: data.iter().flat_map(|x| x.to_le_bytes()).collect(),
        }
    }

    /// A constant, which has that name.
    pub fn constant(name: &str, constant: &OnnxConstant) -> Self {
        match constant {
            OnnxConstant::Floats { sizes, elements } => TensorProto::floats(name, sizes, elements),
            OnnxConstant::Ints(numbers) => TensorProto::ints(name, numbers),
        }
    }

    fn ints(name: &str, data: &[i64]) -> Self {
        TensorProto {
            dims: vec![data.len() as i64],
            data_type: INT64,
            name: name.to_owned(),
            raw_data: data.iter().flat_map(|x| x.to_le_bytes()).collect(),
        }
    }
}

impl ValueInfoProto {
    /// A tensor of f32 whose first dimension is `N`, known at run time.
    pub fn batch_of(name: &str, sizes: &[usize]) -> Self {
        let batch = DimensionProto { dim_param: Some("N".to_owned()), ..DimensionProto::default() };
        let fixed = |&size: &usize| DimensionProto { dim_value: Some(size as i64), ..DimensionProto::default() };
        let dim = std::iter::once(batch).chain(sizes.iter().map(fixed)).collect();
        let tensor_type = Some(TensorTypeProto { elem_type: FLOAT, shape: Some(TensorShapeProto { dim }) });
        ValueInfoProto { name: name.to_owned(), r#type: Some(TypeProto { tensor_type }) }
    }
}
