// SPDX-License-Identifier: Apache-2.0
// Runs exported models in ONNX Runtime on their test data: node onnx_run.js DIR OUT [DIR OUT]... writes OUT, a safetensors
// file with all outputs. NODE_PATH says where onnxruntime-node is.
'use strict';
const fs = require('fs');
const path = require('path');
const runtime = require('onnxruntime-node');

// The fields of a message of Protocol Buffers: [number, value], where bytes are a part of the buffer.
function* fields(bytes) {
    let at = 0;
    const varint = () => {
        let value = 0n;
        for (let shift = 0n; ; shift += 7n) {
            const digit = BigInt(bytes[at++]);
            value |= (digit & 127n) << shift;
            if (digit < 128n) return Number(value);
        }
    };
    while (at < bytes.length) {
        const tag = varint();
        if ((tag & 7) === 0) {
            yield [tag >> 3, varint()];
        } else if ((tag & 7) === 2) {
            const length = varint();
            yield [tag >> 3, bytes.subarray(at, at += length)];
        } else {
            throw new Error(`a field of wire type ${tag & 7}: expected 0 or 2`);
        }
    }
}

const types = { 1: ['float32', Float32Array], 6: ['int32', Int32Array] };
const dtypes = { float32: 'F32', int32: 'I32' };

// A TensorProto with raw data: its name and a tensor of the runtime's.
function readTensor(file) {
    const dims = [];
    let type, name, raw;
    for (const [number, value] of fields(fs.readFileSync(file))) {
        if (number === 1) dims.push(value);
        if (number === 2) type = types[value];
        if (number === 8) name = value.toString();
        if (number === 9) raw = Uint8Array.from(value);
    }
    return [name, new runtime.Tensor(type[0], new type[1](raw.buffer), dims)];
}

function writeSafetensors(file, tensors) {
    const header = {}, parts = [];
    let at = 0;
    for (const [name, tensor] of Object.entries(tensors)) {
        const bytes = Buffer.from(tensor.data.buffer, tensor.data.byteOffset, tensor.data.byteLength);
        header[name] = { dtype: dtypes[tensor.type], shape: [...tensor.dims], data_offsets: [at, at + bytes.length] };
        at += bytes.length;
        parts.push(bytes);
    }
    let text = JSON.stringify(header);
    text = text.padEnd(Math.ceil(text.length / 8) * 8);
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(Buffer.byteLength(text)));
    fs.writeFileSync(file, Buffer.concat([length, Buffer.from(text), ...parts]));
}

async function run(folder, out) {
    const data = path.join(folder, 'test_data_set_0');
    const inputs = fs.readdirSync(data).filter((name) => name.startsWith('input_'));
    const feeds = Object.fromEntries(inputs.map((name) => readTensor(path.join(data, name))));
    const session = await runtime.InferenceSession.create(path.join(folder, 'model.onnx'));
    writeSafetensors(out, await session.run(feeds));
}

async function main(pairs) {
    if (pairs.length === 0 || pairs.length % 2) throw new Error('usage: node onnx_run.js DIR OUT [DIR OUT]...');
    for (let i = 0; i < pairs.length; i += 2) await run(pairs[i], pairs[i + 1]);
}

main(process.argv.slice(2)).catch((error) => {
    console.error(`onnx_run.js: ${error.message}`);
    process.exitCode = 2;
});
