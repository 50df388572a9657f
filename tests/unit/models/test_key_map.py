import pytest
import torch
from autoencoders import DC_AE, random_input, shrink

from dcae_export.errors import WeightsError
from dcae_export.models.autoencoder import Autoencoder
from dcae_export.models.key_map import Layout, detect_layout, key_map
from dcae_export.models.presets import PRESETS

# Literal keys, from the published files: one for each rule of the map and each preset that differs in it.
SPELLINGS = [
    # preset, our key, official name, diffusers names
    (
        "dc-ae-f32c32-in-1.0",
        "encoder.conv_in.conv.weight",
        "encoder.project_in.conv.conv.weight",
        ("encoder.conv_in.conv.weight",),
    ),
    (
        "dc-ae-f32c32-sana-1.0",
        "encoder.conv_in.weight",
        "encoder.project_in.conv.weight",
        ("encoder.conv_in.weight",),
    ),
    (
        "dc-ae-f32c32-in-1.0",
        "encoder.stages.1.0.conv1.bias",
        "encoder.stages.1.op_list.0.main.conv1.conv.bias",
        ("encoder.down_blocks.1.0.conv1.bias",),
    ),
    (
        "dc-ae-f32c32-in-1.0",
        "decoder.stages.1.1.conv2.weight",
        "decoder.stages.1.op_list.1.main.conv2.conv.weight",
        ("decoder.up_blocks.1.1.conv2.weight",),
    ),
    (
        "dc-ae-f32c32-in-1.0",
        "decoder.stages.2.10.norm.running_var",
        "decoder.stages.2.op_list.10.main.conv2.norm.running_var",
        ("decoder.up_blocks.2.10.norm.running_var",),
    ),
    (
        "dc-ae-f32c32-in-1.0",
        "encoder.stages.1.4.conv.weight",
        "encoder.stages.1.op_list.4.main.conv.conv.weight",
        ("encoder.down_blocks.1.4.conv.weight",),
    ),
    (
        "dc-ae-f32c32-sana-1.0",
        "encoder.stages.0.2.conv.weight",
        "encoder.stages.0.op_list.2.main.conv.weight",
        ("encoder.down_blocks.0.2.conv.weight",),
    ),
    (
        "dc-ae-f32c32-sana-1.0",
        "decoder.stages.4.0.conv.bias",
        "decoder.stages.4.op_list.0.main.conv.conv.bias",
        ("decoder.up_blocks.4.0.conv.bias",),
    ),
    (
        "dc-ae-f64c128-in-1.0",
        "encoder.stages.6.1.attention.qkv.weight",
        "encoder.stages.6.op_list.1.context_module.main.qkv.conv.weight",
        (
            "encoder.down_blocks.6.1.attn.to_q.weight",
            "encoder.down_blocks.6.1.attn.to_k.weight",
            "encoder.down_blocks.6.1.attn.to_v.weight",
        ),
    ),
    (
        "dc-ae-f32c32-sana-1.0",
        "decoder.stages.5.0.attention.multiscale.0.depthwise.weight",
        "decoder.stages.5.op_list.0.context_module.main.aggreg.0.0.weight",
        ("decoder.up_blocks.5.0.attn.to_qkv_multiscale.0.proj_in.weight",),
    ),
    (
        "dc-ae-f32c32-sana-1.0",
        "decoder.stages.5.0.attention.multiscale.0.pointwise.weight",
        "decoder.stages.5.op_list.0.context_module.main.aggreg.0.1.weight",
        ("decoder.up_blocks.5.0.attn.to_qkv_multiscale.0.proj_out.weight",),
    ),
    (
        "dc-ae-f32c32-sana-1.0",
        "encoder.stages.3.2.attention.proj.weight",
        "encoder.stages.3.op_list.2.context_module.main.proj.conv.weight",
        ("encoder.down_blocks.3.2.attn.to_out.weight",),
    ),
    (
        "dc-ae-f32c32-sana-1.0",
        "encoder.stages.3.2.attention.norm.bias",
        "encoder.stages.3.op_list.2.context_module.main.proj.norm.bias",
        ("encoder.down_blocks.3.2.attn.norm_out.bias",),
    ),
    (
        "dc-ae-f32c32-in-1.0",
        "decoder.stages.3.1.mlp.inverted_conv.weight",
        "decoder.stages.3.op_list.1.local_module.main.inverted_conv.conv.weight",
        ("decoder.up_blocks.3.1.conv_out.conv_inverted.weight",),
    ),
    (
        "dc-ae-f32c32-in-1.0",
        "decoder.stages.3.1.mlp.depth_conv.bias",
        "decoder.stages.3.op_list.1.local_module.main.depth_conv.conv.bias",
        ("decoder.up_blocks.3.1.conv_out.conv_depth.bias",),
    ),
    (
        "dc-ae-f32c32-in-1.0",
        "decoder.stages.3.1.mlp.point_conv.weight",
        "decoder.stages.3.op_list.1.local_module.main.point_conv.conv.weight",
        ("decoder.up_blocks.3.1.conv_out.conv_point.weight",),
    ),
    (
        "dc-ae-f32c32-in-1.0",
        "decoder.stages.3.1.mlp.norm.weight",
        "decoder.stages.3.op_list.1.local_module.main.point_conv.norm.weight",
        ("decoder.up_blocks.3.1.conv_out.norm.weight",),
    ),
    (
        "dc-ae-f32c32-in-1.0",
        "encoder.conv_out.conv.weight",
        "encoder.project_out.main.op_list.0.conv.weight",
        ("encoder.conv_out.weight",),
    ),
    (
        "dc-ae-f32c128-1.5",
        "encoder.conv_out.conv.weight",
        "encoder.project_out.op_list.0.conv.weight",
        ("encoder.conv_out.weight",),
    ),
    (
        "dc-ae-f32c32-in-1.0",
        "decoder.conv_in.conv.bias",
        "decoder.project_in.main.conv.bias",
        ("decoder.conv_in.bias",),
    ),
    (
        "dc-ae-f32c128-1.5",
        "decoder.conv_in.conv.bias",
        "decoder.project_in.conv.bias",
        ("decoder.conv_in.bias",),
    ),
    (
        "dc-ae-f32c32-in-1.0",
        "decoder.norm_out.weight",
        "decoder.project_out.op_list.0.weight",
        ("decoder.norm_out.weight",),
    ),
    (
        "dc-ae-f32c32-in-1.0",
        "decoder.conv_out.conv.weight",
        "decoder.project_out.op_list.2.conv.conv.weight",
        ("decoder.conv_out.conv.weight",),
    ),
    (
        "dc-ae-f32c32-sana-1.0",
        "decoder.conv_out.weight",
        "decoder.project_out.op_list.2.conv.weight",
        ("decoder.conv_out.weight",),
    ),
    # DC-AE Lite: a first stage in the encoder, none in the decoder.
    (
        "dc-ae-lite-f32c32-sana-1.1",
        "encoder.conv_in.weight",
        "encoder.project_in.conv.weight",
        ("encoder.conv_in.weight",),
    ),
    (
        "dc-ae-lite-f32c32-sana-1.1",
        "decoder.conv_out.conv.weight",
        "decoder.project_out.op_list.2.conv.conv.weight",
        ("decoder.conv_out.conv.weight",),
    ),
]


@pytest.mark.parametrize(("preset", "key", "official", "diffusers"), SPELLINGS)
def test_keys_are_spelled_as_in_the_published_files(preset, key, official, diffusers):
    config = PRESETS[preset].config
    spelled = {layout: {e.key: e.names for e in key_map(config, layout)} for layout in Layout}
    assert spelled[Layout.OFFICIAL][key] == (official,)
    assert spelled[Layout.DIFFUSERS][key] == diffusers


@pytest.mark.parametrize("layout", Layout)
@pytest.mark.parametrize("name", DC_AE)
def test_the_map_is_a_bijection(name, layout):
    config = shrink(PRESETS[name].config)
    with torch.device("meta"):
        keys = list(Autoencoder(config).state_dict())
    entries = key_map(config, layout)
    names = [stored for entry in entries for stored in entry.names]
    assert [entry.key for entry in entries] == keys
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", DC_AE)
@pytest.mark.parametrize("layout", Layout)
def test_the_layout_is_known_by_its_keys(name, layout):
    names = [stored for e in key_map(PRESETS[name].config, layout) for stored in e.names]
    assert detect_layout(names) is layout


@pytest.mark.parametrize("names", [[], ["transformer.blocks.0.weight"]])
def test_keys_of_something_else_have_no_layout(names):
    with pytest.raises(WeightsError, match="not named as a DC-AE"):
        detect_layout(names)


def test_the_three_parts_of_qkv_are_blocks_of_rows_and_not_query_key_and_value():
    entries = key_map(shrink(PRESETS["dc-ae-f32c32-in-1.0"].config), Layout.DIFFUSERS)
    entry = next(e for e in entries if e.key == "encoder.stages.4.0.attention.qkv.weight")
    qkv = random_input(*entry.shape)
    parts = entry.split(qkv)
    first = parts["encoder.down_blocks.4.0.attn.to_q.weight"]
    # 64 channels are two heads of 32: the first 64 of 192 rows are q and k of head 0.
    assert torch.equal(first, qkv[:64, :, 0, 0])
    assert torch.equal(entry.join([parts[name] for name in entry.names]), qkv)
