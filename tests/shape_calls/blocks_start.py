"""Calls of `reference.blocks_start` for `test_shapes.py`."""

SIZES = {"width": 6, "hidden": 7}

CALLS = {
    **{
        f"blocks_start.new_{kind}_layer": [((), SIZES | {"seed": 1})]
        for kind in ("encoder", "parallel", "decoder")
    },
    "blocks_start.encoder_parameter_count": [((), SIZES)],
    "blocks_start.decoder_parameter_count": [((), SIZES)],
}
